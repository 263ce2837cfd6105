"""Bless: whether the challenger may go live, judged by rules that are data, with a reason for each."""
