"""Messages of the command line: files, settings, crashes."""
