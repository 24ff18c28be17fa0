package cli

import "io/fs"

// streamOf is what $JOURNAL_STREAM calls a file: here there is no journal.
func streamOf(fs.FileInfo) string { return "" }
