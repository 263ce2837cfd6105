"""Rate: people compare challenger and champion, blind; their preference and agreement become figures for the gate."""
