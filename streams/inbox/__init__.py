"""What waits for people: names, previews, decisions and bulk work. Commands and console call the same functions."""
