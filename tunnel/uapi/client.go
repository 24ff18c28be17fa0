package uapi

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// SocketDir is the folder of the devices' sockets, one NAME.sock each. It is
// fixed by convention, on Linux at least; tests put another here before they
// begin, nothing else may change it.
var SocketDir = "/var/run/wireguard"

// Timeout bounds one request and its answer. A device answers from memory, but
// a busy one takes its locks first.
const Timeout = 10 * time.Second

const socketSuffix = ".sock"

// ErrName is the error for an interface name that cannot be part of a path.
var ErrName = errors.New("not an interface name")

// SocketPath returns where the socket of the device with that name is, whether
// it exists or not.
func SocketPath(name string) (string, error) {
	if name == "" || strings.ContainsAny(name, "/\x00") {
		return "", fmt.Errorf("interface %q: %w", name, ErrName)
	}
	return filepath.Join(SocketDir, name+socketSuffix), nil
}

// Dial connects to a device's socket, for callers that speak the protocol
// themselves. The caller closes the connection; it has a deadline of Timeout
// from now. The error is fs.ErrNotExist when there is no such socket,
// syscall.ECONNREFUSED when whoever served it is gone, and fs.ErrPermission
// when we may not.
func Dial(name string) (*net.UnixConn, error) {
	path, err := SocketPath(name)
	if err != nil {
		return nil, err
	}
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Net: "unix", Name: path})
	if err != nil {
		return nil, fmt.Errorf("connect to interface %s: %w", name, err)
	}
	if err := conn.SetDeadline(time.Now().Add(Timeout)); err != nil {
		return nil, errors.Join(fmt.Errorf("connect to interface %s: %w", name, err), conn.Close())
	}
	return conn, nil
}

// Get asks a device for its status. Errors are those of Dial and ParseStatus;
// an answer without its end is io.ErrUnexpectedEOF.
func Get(name string) (*Status, error) {
	answer, closeConn, err := request(name, "get=1\n\n")
	if err != nil {
		return nil, err
	}
	defer closeConn()
	s, ended, err := parseStatus(answer)
	if err == nil && !ended {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, fmt.Errorf("get status of interface %s: %w", name, err)
	}
	return s, nil
}

// Set applies config to a device: lines as in wireguard-go's IpcSet, without
// the `set=1` before and the empty line after them. The device applies line by
// line, so that some may have taken effect when a later one is refused; the
// error then holds a syscall.Errno (EADDRINUSE: the listen port is taken,
// EINVAL: a line that it does not take, EPROTO, EIO).
func Set(name, config string) error {
	config = strings.TrimRight(config, "\n")
	if strings.Contains("\n"+config, "\n\n") {
		// The device would take what comes after it for another request.
		return fmt.Errorf("configure interface %s: empty line in the configuration", name)
	}
	text := "set=1\n" + config + "\n\n"
	if config == "" {
		text = "set=1\n\n"
	}
	answer, closeConn, err := request(name, text)
	if err != nil {
		return err
	}
	defer closeConn()
	line, err := readLine(answer)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("configure interface %s: %w", name, err)
	}
	value, ok := strings.CutPrefix(line, "errno=")
	if !ok {
		return fmt.Errorf("configure interface %s: the answer is not an errno line", name)
	}
	if err := parseErrno(value); err != nil {
		return fmt.Errorf("configure interface %s: %w", name, err)
	}
	return nil
}

func request(name, text string) (answer *bufio.Reader, closeConn func(), err error) {
	conn, err := Dial(name)
	if err != nil {
		return nil, nil, err
	}
	closeConn = func() {
		// Everything was read or has failed by then; closing decides nothing.
		_ = conn.Close()
	}
	if _, err := io.WriteString(conn, text); err != nil {
		closeConn()
		return nil, nil, fmt.Errorf("send request to interface %s: %w", name, err)
	}
	return bufio.NewReader(conn), closeConn, nil
}

// Socket is a socket in the folder of the devices' sockets.
type Socket struct {
	Name string // of the interface
	// Err is why it cannot be used, as Dial has it; nil if somebody serves it.
	Err error
}

// Sockets lists the devices' sockets and tries each one, in the order of the
// folder's entries as wg(8) lists them. No folder means no socket.
func Sockets() ([]Socket, error) {
	dir, err := os.Open(SocketDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	entries, err := dir.Readdirnames(-1)
	if err := errors.Join(err, dir.Close()); err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	var sockets []Socket
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry, socketSuffix)
		if !ok || name == "" {
			continue
		}
		conn, err := Dial(name)
		if err == nil {
			_ = conn.Close() // nothing was sent
		}
		sockets = append(sockets, Socket{name, err})
	}
	return sockets, nil
}

// Interfaces lists the devices whose socket somebody serves and we may use. A
// socket that a killed process left behind is not listed and not removed.
func Interfaces() ([]string, error) {
	sockets, err := Sockets()
	var names []string
	for _, s := range sockets {
		if s.Err == nil {
			names = append(names, s.Name)
		}
	}
	return names, err
}
