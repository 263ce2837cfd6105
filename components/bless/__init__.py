"""Bless: decides by the gate's rules whether the challenger may go live."""
