"""Deploy: makes a blessed model the endpoint's live version."""
