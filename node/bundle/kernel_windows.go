package bundle

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/windows"
)

// kernel is Windows's version.
func kernel() (string, error) {
	v := windows.RtlGetVersion()
	return fmt.Sprintf("Windows %d.%d.%d %s", v.MajorVersion, v.MinorVersion, v.BuildNumber, runtime.GOARCH), nil
}
