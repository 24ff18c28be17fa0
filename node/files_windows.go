package node

// checkFiles has nothing to refuse: Windows has no such limit.
func checkFiles() error { return nil }
