package daemon

import (
	"errors"
	"fmt"
	"net"
	"os"
)

// notifyEnv is how a service manager says that it wants to know (sd_notify(3)).
const notifyEnv = "NOTIFY_SOCKET"

// Notifier is the socket of a service manager, "" for none.
type Notifier string

// TakeNotifier returns that of this process, once: what hooks start must not
// speak in the name of the node.
func TakeNotifier() Notifier {
	path := os.Getenv(notifyEnv)
	if os.Unsetenv(notifyEnv) != nil {
		return ""
	}
	return Notifier(path)
}

// Tell tells the service manager, if there is one, of a state.
func (n Notifier) Tell(state string) error {
	if n == "" {
		return nil
	}
	// net takes a leading @ for the abstract namespace, as systemd does.
	c, err := net.Dial("unixgram", string(n))
	if err == nil {
		_, err = c.Write([]byte(state))
		err = errors.Join(err, c.Close())
	}
	if err != nil {
		return fmt.Errorf("notify service manager: %w", err)
	}
	return nil
}
