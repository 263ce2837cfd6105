"""The first stage: looks at the input data and says which content it has."""
