package safefile

// doubt knows of nothing: who can write a file is not checked on Windows.
func doubt(string, Owners) (*Untrusted, error) { return nil, nil }
