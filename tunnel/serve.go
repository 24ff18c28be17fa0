package tunnel

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"

	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/ipc"
)

// maxRequest bounds what one UAPI client can make us hold: enough for a
// million peers, see [Tunnel.HandleUAPI].
const maxRequest = 64 << 20

var (
	// errRequestTooLong is answered with EPROTO, and ends the connection.
	errRequestTooLong = fmt.Errorf("request longer than %d bytes", maxRequest)
	// errTrailing is answered with EINVAL, as the device's own handler does.
	errTrailing = errors.New("trailing characters after get=1")
)

// ServeUAPI answers the clients that connect to l, such as wg(8), each in a
// goroutine of its own. It returns l's error once l fails or is closed, after
// it has closed all connections and their goroutines have ended. It does not
// close l.
func (t *Tunnel) ServeUAPI(l net.Listener) error {
	var mu sync.Mutex
	open := make(map[net.Conn]struct{})
	var serving sync.WaitGroup
	defer serving.Wait()
	for {
		c, err := l.Accept()
		if err != nil {
			mu.Lock()
			defer mu.Unlock()
			for c := range open {
				_ = c.Close() // HandleUAPI sees it; there is nobody else to tell
			}
			return fmt.Errorf("accept UAPI client: %w", err)
		}
		mu.Lock()
		open[c] = struct{}{}
		mu.Unlock()
		serving.Go(func() {
			t.HandleUAPI(c)
			mu.Lock()
			defer mu.Unlock()
			delete(open, c)
		})
	}
}

// HandleUAPI answers one client's requests until it hangs up or says what is
// no request, and closes c (https://www.wireguard.com/xplatform/). Unlike the
// device's own handler it reads a request to its end before it applies any of
// it, so that one that is cut short changes nothing, and so that the mirror of
// the configuration can follow it.
func (t *Tunnel) HandleUAPI(c net.Conn) {
	defer c.Close() // everything was flushed, or the client is gone
	r, w := bufio.NewReader(c), bufio.NewWriter(c)
	for {
		op, err := readLine(r, len("set=1\n"))
		if err != nil {
			return
		}
		switch op {
		case "get=1\n":
			err = t.answerGet(r, w)
		case "set=1\n":
			err = t.answerSet(r)
		default:
			return
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return
		}
		// A failed write shows in Flush.
		_, _ = fmt.Fprintf(w, "errno=%d\n\n", errno(err))
		if w.Flush() != nil || errors.Is(err, errRequestTooLong) {
			return
		}
	}
}

func (t *Tunnel) answerGet(r *bufio.Reader, w io.Writer) error {
	end, err := readLine(r, maxRequest)
	if err != nil {
		return err
	}
	if end != "\n" {
		return errTrailing
	}
	return t.dev.IpcGetOperation(w)
}

func (t *Tunnel) answerSet(r *bufio.Reader) error {
	var config strings.Builder
	for {
		line, err := readLine(r, maxRequest-config.Len())
		if err != nil {
			return err
		}
		if line == "\n" {
			return t.keep.Set(config.String(), true)
		}
		config.WriteString(line)
	}
}

// readLine reads a line with its end, of at most limit bytes. The end of input
// before that of the line is io.ErrUnexpectedEOF, as is any other failure to
// read: nobody is left to be told.
func readLine(r *bufio.Reader, limit int) (string, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > limit {
			return "", errRequestTooLong
		}
		line = append(line, part...)
		switch err {
		case nil:
			return string(line), nil
		case bufio.ErrBufferFull:
		default:
			return "", io.ErrUnexpectedEOF
		}
	}
}

// errno is the code by which the protocol tells an error.
func errno(err error) int64 {
	var coded *device.IPCError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errRequestTooLong):
		return ipc.IpcErrorProtocol
	case errors.Is(err, errTrailing):
		return ipc.IpcErrorInvalid
	case errors.As(err, &coded):
		return coded.ErrorCode()
	}
	return ipc.IpcErrorUnknown
}
