"""Deploy: a blessed model becomes the endpoint's live version."""
