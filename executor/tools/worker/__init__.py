"""The process of one tool job: its setup, its sandbox, and the work on files and programs inside."""
