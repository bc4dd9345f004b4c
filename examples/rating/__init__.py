"""How the scorecards for persons are made of the card file, and what they are worth: docs/rating.md tells it in words."""
