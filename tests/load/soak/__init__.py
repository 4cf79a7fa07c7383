"""A mixed load with mischief, for as long as is wanted: what a server that runs for months meets in a minute."""
