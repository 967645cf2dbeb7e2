"""`neverblink bench leap`: how a leap looks beside an ordinary switch."""
