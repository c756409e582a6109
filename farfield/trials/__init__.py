"""What one trial of a study does: functions from plain data to plain data, in terms of the library's parts."""
