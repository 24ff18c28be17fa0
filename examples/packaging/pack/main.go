// Command pack writes what `make release` publishes beside .deb, .rpm and .apk: archives, an
// image for containers, and the files that package managers want, with hashes filled in.
// What it writes depends on nothing but the contents of its input and SOURCE_DATE_EPOCH.
//
//	pack archive FOLDER FILE.tar.gz|FILE.zip
//	pack image PROGRAM DOCS VERSION REVISION GOARCH[/VARIANT] FILE.tar
//	pack fill TEMPLATES RELEASE VERSION
package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

var errUsage = errors.New("want archive FOLDER FILE, image PROGRAM DOCS VERSION REVISION GOARCH FILE, or fill TEMPLATES RELEASE VERSION")

func run(args []string) error {
	at, err := sourceDate(os.Getenv("SOURCE_DATE_EPOCH"))
	if err != nil {
		return err
	}
	switch {
	case len(args) == 3 && args[0] == "archive":
		return archive(args[1], args[2], at)
	case len(args) == 7 && args[0] == "image":
		return image{program: args[1], docs: args[2], version: args[3], revision: args[4], platform: args[5], at: at}.write(args[6])
	case len(args) == 4 && args[0] == "fill":
		return fill(args[1], args[2], args[3])
	}
	return errUsage
}

// sourceDate is the time that all files have: that of the sources.
func sourceDate(epoch string) (time.Time, error) {
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("read SOURCE_DATE_EPOCH: %w", err)
	}
	return time.Unix(seconds, 0).UTC(), nil
}
