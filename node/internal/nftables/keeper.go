//go:build linux

package nftables

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// spec is one of the tables of this package.
type spec interface {
	Name() string
	Family() string // in nft(8)'s words
	number() byte   // the family, as the kernel has it
	// compose puts together the transaction that adds the table in place of one
	// that is there, which is nil if there is none. owned says that it is there,
	// and that the connection's socket owns it.
	compose(c *nftables.Conn, there *contents, owned bool) error
}

// label names a table as nft(8) does.
func label(s spec) string { return s.Family() + " " + s.Name() }

// Keeper adds tables and deletes them, and remembers what the kernel made of
// them, so that it can tell whether somebody else has changed one, and put it
// back. It is safe for concurrent use.
//
// Where the kernel can (Linux 6.9), a kill switch is owned by the keeper's
// socket: then no other program can change or delete it, and `nft flush ruleset`
// passes it over. It persists when the socket is closed, or its process killed;
// from then on anybody can change it, until another keeper takes it over.
type Keeper struct {
	// Open leaves kill switches open to changes by others, as an older kernel
	// does.
	Open bool

	mu    sync.Mutex
	owner *nftables.Conn // nil until there is a kill switch
	sock  *netlink.Conn  // the owner's
	kept  map[string]kept
}

type kept struct {
	spec spec
	want *contents
}

// AddKillSwitch adds the table, or changes it to what s says if it is there.
// Either is one transaction: at no time less is dropped than both, the old and
// the new table, would drop.
func (k *Keeper) AddKillSwitch(s KillSwitch) error { return k.add(s) }

// AddGateway adds the table. One that is there already is replaced in the same
// transaction.
func (k *Keeper) AddGateway(g Gateway) error { return k.add(g) }

// AddTable adds the table with its chains and rules, in one transaction. One
// that is there already, perhaps left over by a crash, is replaced in the same.
func (k *Keeper) AddTable(t Table) error { return k.add(t) }

// DeleteKillSwitch deletes the table of a tunnel. The error of this and of the
// other deletions wraps ENOENT if there is none.
func (k *Keeper) DeleteKillSwitch(link string) error { return k.delete(KillSwitch{Link: link}) }

// DeleteGateway deletes the table of a tunnel.
func (k *Keeper) DeleteGateway(link string) error { return k.delete(Gateway{Link: link}) }

// DeleteTable deletes the table.
func (k *Keeper) DeleteTable(t Table) error { return k.delete(t) }

// Close gives up what the keeper owns. The tables stay.
func (k *Keeper) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kept = nil
	if k.owner == nil {
		return nil
	}
	c := k.owner
	k.owner, k.sock = nil, nil
	return c.CloseLasting()
}

// Keeps reports whether the keeper has added a table, by its name as in "inet
// filter".
func (k *Keeper) Keeps(table string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	_, ok := k.kept[table]
	return ok
}

// KillSwitchDiffers says in words how the table of a tunnel is not what it was
// when the keeper added it, nothing if it is. Of one that another process has
// added only whether it is there is known.
func (k *Keeper) KillSwitchDiffers(link string) ([]string, error) {
	return k.differs(KillSwitch{Link: link})
}

// GatewayDiffers is [Keeper.KillSwitchDiffers] for the gateway's table.
func (k *Keeper) GatewayDiffers(link string) ([]string, error) { return k.differs(Gateway{Link: link}) }

// TableDiffers is [Keeper.KillSwitchDiffers] for a table.
func (k *Keeper) TableDiffers(t Table) ([]string, error) { return k.differs(t) }

func (k *Keeper) differs(s spec) ([]string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	have, _, err := look(s)
	if err != nil {
		return nil, err
	}
	what := differ(k.kept[label(s)].want, have)
	for i := range what {
		what[i] = "nft table " + label(s) + ": " + what[i]
	}
	return what, nil
}

// protects reports whether others are let in, or packets out, without the table.
func protects(s spec) bool {
	switch s.(type) {
	case KillSwitch, Table:
		return true
	}
	return false
}

// Restore puts those tables back that protect and that somebody else has
// changed, each in one transaction.
func (k *Keeper) Restore() (restored []Restored, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(k.kept)) {
		t := k.kept[name]
		if !protects(t.spec) {
			continue
		}
		have, _, err := look(t.spec)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		what := differ(t.want, have)
		if len(what) == 0 {
			continue
		}
		if err := k.install(t.spec); err != nil {
			errs = append(errs, err)
			continue
		}
		_, isKillSwitch := t.spec.(KillSwitch)
		restored = append(restored, Restored{Table: name, KillSwitch: isKillSwitch, What: what})
	}
	return restored, errors.Join(errs...)
}

func (k *Keeper) add(s spec) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.install(s)
}

// install adds a table and remembers what became of it. A transaction of somebody
// else's that came in between may have changed it already, so then it does so
// once more.
func (k *Keeper) install(s spec) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("add nft table %s: %w", label(s), err)
		}
	}()
	c, owned, err := k.claim(s)
	if err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		there, before, err := look(s)
		if err != nil {
			return err
		}
		if err := s.compose(c, there, owned); err != nil {
			return err
		}
		if err := c.Flush(); err != nil {
			return err
		}
		have, after, err := look(s)
		if err != nil {
			return err
		}
		if after == before+1 || attempt == lookAttempts {
			if k.kept == nil {
				k.kept = make(map[string]kept)
			}
			k.kept[label(s)] = kept{s, have}
			return nil
		}
	}
}

func (k *Keeper) delete(s spec) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	var err error
	c := k.owner
	if _, ok := s.(KillSwitch); !ok || c == nil {
		c, err = nftables.New()
	}
	if err == nil {
		c.DelTable(message(s))
		err = c.Flush()
	}
	if err == nil || errors.Is(err, unix.ENOENT) {
		delete(k.kept, label(s))
	}
	if err != nil {
		return fmt.Errorf("delete nft table %s%s: %w", label(s), belongs(s, err), err)
	}
	return nil
}

// belongs says whose a table is that another process owns, "" if that is not why
// it was refused.
func belongs(s spec, refused error) string {
	if !errors.Is(refused, unix.EPERM) {
		return ""
	}
	const ownerAttribute = 7 // NFTA_TABLE_OWNER
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return ""
	}
	defer c.Close() // nothing was written
	l := looker{c, s}
	tables, err := l.get(unix.NFT_MSG_GETTABLE, 0, s.number(), []netlink.Attribute{
		{Type: unix.NFTA_TABLE_NAME, Data: []byte(s.Name() + "\x00")}})
	if err != nil || len(tables) == 0 || number(tables[0][ownerAttribute]) == 0 {
		return ""
	}
	return fmt.Sprintf(", which process %d owns", number(tables[0][ownerAttribute]))
}

func message(s spec) *nftables.Table {
	return &nftables.Table{Name: s.Name(), Family: nftables.TableFamily(s.number())}
}

// Flags of tables, see linux/netfilter/nf_tables.h.
const (
	flagOwner   = 1 << 1 // NFT_TABLE_F_OWNER
	flagPersist = 1 << 2 // NFT_TABLE_F_PERSIST
)

// claim returns the connection to add a table by, and whether its socket owns
// the table, which then is there, perhaps empty. A table that was there without an
// owner stays so, unless it has lost one: to make it another would take a moment
// without it.
func (k *Keeper) claim(s spec) (c *nftables.Conn, owned bool, err error) {
	if _, ok := s.(KillSwitch); !ok {
		c, err = nftables.New()
		return c, false, err
	}
	if k.owner == nil {
		if k.owner, err = nftables.New(nftables.AsLasting(), nftables.WithSockOptions(func(c *netlink.Conn) error {
			k.sock = c
			return nil
		})); err != nil {
			return nil, false, err
		}
	}
	if k.Open {
		return k.owner, false, nil
	}
	attributes, err := netlink.MarshalAttributes([]netlink.Attribute{
		{Type: unix.NFTA_TABLE_NAME, Data: []byte(s.Name() + "\x00")},
		{Type: unix.NFTA_TABLE_FLAGS, Data: []byte{0, 0, 0, flagOwner | flagPersist}},
	})
	if err != nil {
		return nil, false, err
	}
	err = transact(k.sock, netlink.Message{
		Header: netlink.Header{Type: unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_NEWTABLE,
			Flags: netlink.Request | netlink.Acknowledge | netlink.Create},
		Data: append([]byte{s.number(), unix.NFNETLINK_V0, 0, 0}, attributes...),
	})
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL) {
		return k.owner, false, nil
	}
	return k.owner, err == nil, err
}

// transact sends one message that is to be acknowledged as a transaction.
func transact(c *netlink.Conn, m netlink.Message) error {
	limit := func(kind netlink.HeaderType) netlink.Message {
		return netlink.Message{Header: netlink.Header{Type: kind, Flags: netlink.Request},
			Data: []byte{0, unix.NFNETLINK_V0, 0, unix.NFNL_SUBSYS_NFTABLES}}
	}
	_, err := c.SendMessages([]netlink.Message{limit(unix.NFNL_MSG_BATCH_BEGIN), m, limit(unix.NFNL_MSG_BATCH_END)})
	if err != nil {
		return err
	}
	_, err = c.Receive()
	return err
}
