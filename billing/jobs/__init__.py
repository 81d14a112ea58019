"""The timetable, the scheduler thread, leadership, and one module per step. Every job can be killed and run again."""
