//go:build linux

package confine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// The two processes talk over a pair of Unix sockets: the one outside sends an
// order and then, to have the command begin, a second, empty one. The one inside
// answers the first with descriptors, and the second only if it fails: otherwise
// the socket closes as the command takes over.

// order is what the process inside is to do.
type order struct {
	Path    string   `json:"path"` // of the command's program
	Args    []string `json:"args"` // with its name
	Network Network  `json:"network"`
}

// answer is one line of JSON, with the descriptors in the order of Files.
type answer struct {
	Error string        `json:"error,omitempty"`
	Errno syscall.Errno `json:"errno,omitempty"` // what Error came from
	Notes []string      `json:"notes,omitempty"`
	Files []string      `json:"files,omitempty"`
}

// The names of the descriptors.
const (
	fileTUN   = "tun"
	fileTCP4  = "tcp4"
	fileTCP6  = "tcp6"
	fileICMP4 = "icmp4"
	fileICMP6 = "icmp6"
)

// maxFiles is how many descriptors come with an answer, maxAnswer how long one is in
// bytes. What answers has the command's rights.
const (
	maxFiles  = 5
	maxAnswer = 1 << 20
)

var errTooMuch = fmt.Errorf("an answer is longer than %d bytes, or comes with more than %d descriptors", maxAnswer, maxFiles)

// insideError is an error that came through the socket.
type insideError struct {
	text  string
	errno syscall.Errno
}

func (e *insideError) Error() string { return e.text }

// Unwrap lets errors.Is see the errno.
func (e *insideError) Unwrap() error {
	if e.errno == 0 {
		return nil
	}
	return e.errno
}

func failure(err error) answer {
	a := answer{Error: err.Error()}
	errors.As(err, &a.Errno)
	return a
}

// send sends an answer; its descriptors stay open here.
func send(c *net.UnixConn, a answer, fds ...int) error {
	b, err := json.Marshal(a)
	if err != nil {
		return err
	}
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	b = append(b, '\n')
	n, _, err := c.WriteMsgUnix(b, rights, nil)
	if err == nil {
		_, err = c.Write(b[n:]) // what the socket did not hold
	}
	if err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	return nil
}

// errGone: the socket was closed where an answer was due.
var errGone = errors.New("the process that was to become the command is gone")

// receive returns the next answer and its descriptors by name. An answer that is
// an error is returned as one. At the end of the stream the error is errGone.
func receive(c *net.UnixConn) (answer, map[string]*os.File, error) {
	var text []byte
	var fds []int
	for !bytes.HasSuffix(text, []byte("\n")) {
		buf, oob := make([]byte, 4096), make([]byte, unix.CmsgSpace(4*maxFiles))
		n, oobn, _, _, err := c.ReadMsgUnix(buf, oob)
		if got, perr := rights(oob[:oobn]); perr == nil {
			fds = append(fds, got...)
		} else {
			err = errors.Join(err, perr)
		}
		if n == 0 || err != nil {
			closeAll(fds)
			return answer{}, nil, errGone
		}
		if text = append(text, buf[:n]...); len(text) > maxAnswer || len(fds) > maxFiles {
			closeAll(fds)
			return answer{}, nil, errTooMuch
		}
	}
	var a answer
	err := json.Unmarshal(text, &a)
	if err == nil && a.Error != "" {
		err = &insideError{a.Error, a.Errno}
	}
	if err == nil && len(fds) != len(a.Files) {
		err = fmt.Errorf("%d descriptors came for %d names", len(fds), len(a.Files))
	}
	for i, name := range a.Files {
		if err == nil && slices.Contains(a.Files[:i], name) {
			err = fmt.Errorf("two descriptors are called %q", name)
		}
	}
	if err != nil {
		closeAll(fds)
		return a, nil, err
	}
	files := make(map[string]*os.File, len(fds))
	for i, fd := range fds {
		unix.CloseOnExec(fd)
		files[a.Files[i]] = os.NewFile(uintptr(fd), a.Files[i])
	}
	return a, files, nil
}

func rights(oob []byte) (fds []int, err error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	for _, m := range messages {
		got, err := unix.ParseUnixRights(&m)
		if err != nil {
			return fds, err
		}
		fds = append(fds, got...)
	}
	return fds, nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		_ = unix.Close(fd) // nothing was written
	}
}
