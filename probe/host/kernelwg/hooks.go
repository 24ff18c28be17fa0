//go:build linux

package kernelwg

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// what a record is about.
type what uint32

const (
	routed    what = iota + 1 // a packet enters the tunnel, and is for the peer, or for none
	encrypted                 // what goes into a data message
	sent                      // a message is handed to the socket
	failed                    // the socket has refused it
	replied                   // a cookie reply is sent
	decrypted                 // a data message was received, and what is in it
	delivered                 // a decrypted packet whose source is the peer's, or another's
	checked                   // a handshake message was received: the state of its MACs
	looked                    // the peer with the key in it was looked up
	indexed                   // the handshake that it answers was looked up
	consumed                  // and what came of it
	cookie                    // a cookie reply was received
)

// hook is a function of the kernel's WireGuard, and what is read as it begins, or as it
// returns.
type hook struct {
	function string
	exit     bool
	params   int
	what     what
	code     func(*assembler)
}

func (h *hook) attach() ebpf.AttachType {
	if h.exit {
		return ebpf.AttachTraceFExit
	}
	return ebpf.AttachTraceFEntry
}

// name tells the two hooks of one function apart.
func (h *hook) name() string {
	if h.exit {
		return h.function + " returns"
	}
	return h.function
}

// hooks are all of them. Functions that others of the same file call alone may be missing from
// a kernel that another compiler has made: encrypt_packet and decrypt_packet.
var hooks = []hook{
	{"wg_allowedips_lookup_dst", true, 2, routed, (*assembler).routed},
	{"encrypt_packet", false, 2, encrypted, (*assembler).encrypted},
	{"wg_socket_send_skb_to_peer", false, 3, sent, (*assembler).sent},
	{"wg_socket_send_skb_to_peer", true, 3, failed, (*assembler).failed},
	{"wg_socket_send_buffer_as_reply_to_skb", false, 4, replied, (*assembler).replied},
	{"decrypt_packet", true, 2, decrypted, (*assembler).decrypted},
	{"wg_allowedips_lookup_src", true, 2, delivered, (*assembler).delivered},
	{"wg_cookie_validate_packet", true, 3, checked, (*assembler).checked},
	{"wg_pubkey_hashtable_lookup", true, 2, looked, (*assembler).looked},
	{"wg_index_hashtable_lookup", true, 4, indexed, (*assembler).indexed},
	{"wg_noise_handshake_consume_initiation", true, 2, consumed, (*assembler).consumed},
	{"wg_noise_handshake_consume_response", true, 2, consumed, (*assembler).consumed},
	{"wg_cookie_message_consume", false, 2, cookie, (*assembler).cookie},
}

// handshakesByIndex is the kind of index that wg_index_hashtable_lookup looks for where
// a response is to be read (INDEX_HASHTABLE_HANDSHAKE).
const handshakesByIndex = 1

// routed: wg_allowedips_lookup_dst(table, skb) returns the peer whose AllowedIPs have the
// destination. wg_xmit alone calls it, for each packet that is IP, before it cuts it.
func (a *assembler) routed() {
	a.argument(device, 0)
	a.add(asm.Add.Imm(device, -a.l.allowed))
	a.ours()
	a.argument(packet, 1)
	a.argument(peer, 2)
	a.whose()
	a.content()
}

// encrypted: encrypt_packet(skb, keypair).
func (a *assembler) encrypted() {
	a.argument(packet, 0)
	a.session()
	a.read(record+atIndex, 4, pair, a.l.remote)
	a.read(record+atCounter, 8, packet, a.l.control+a.l.nonce)
	a.content()
}

// session takes the keypair, which is the second argument, and whose it is.
func (a *assembler) session() {
	a.argument(pair, 1)
	a.add(asm.StoreMem(asm.R10, framePair, pair, asm.DWord))
	a.load(pair, a.l.peer)
	a.add(asm.Mov.Reg(peer, asm.R1))
	a.load(peer, a.l.owner)
	a.add(asm.Mov.Reg(device, asm.R1))
	a.ours()
	a.whose()
	a.add(asm.LoadMem(pair, asm.R10, framePair, asm.DWord))
	a.read(record+atInitiator, 1, pair, a.l.initiator)
}

// sent: wg_socket_send_skb_to_peer(peer, skb, ds), for messages of all kinds but cookies.
func (a *assembler) sent() {
	a.argument(peer, 0)
	a.load(peer, a.l.owner)
	a.add(asm.Mov.Reg(device, asm.R1))
	a.ours()
	a.whose()
	a.argument(packet, 1)
	a.content()
}

// failed: the same returns an error. The packet is no more.
func (a *assembler) failed() {
	a.argument(asm.R1, 3)
	a.add(
		asm.LSh.Imm(asm.R1, 32),
		asm.ArSh.Imm(asm.R1, 32),
		asm.JSGE.Imm(asm.R1, 0, done),
		asm.StoreMem(asm.R10, record+atResult, asm.R1, asm.Word),
	)
	a.argument(peer, 0)
	a.load(peer, a.l.owner)
	a.add(asm.Mov.Reg(device, asm.R1))
	a.ours()
	a.whose()
}

// replied: wg_socket_send_buffer_as_reply_to_skb(wg, skb, buffer, length), for cookies.
func (a *assembler) replied() {
	a.argument(device, 0)
	a.ours()
	a.argument(packet, 1)
	a.source()
	a.argument(asm.R1, 3)
	a.add(asm.StoreMem(asm.R10, record+atLength, asm.R1, asm.Word))
	a.add(asm.StoreMem(asm.R10, record+atLinear, asm.R1, asm.Word))
	a.argument(peer, 2)
	a.read(record+atHeader, cookieLen, peer, 0)
}

// decrypted: decrypt_packet(skb, keypair) returns whether it could. Where it could not
// even try, because the key is too old, the packet still begins with the message's header.
func (a *assembler) decrypted() {
	a.argument(packet, 0)
	a.session()
	a.read(record+atIndex, 4, pair, a.l.own)
	a.boolean(2)
	a.source()
	// The counter, 8 bytes into the message, which comes after 8 bytes of UDP's header.
	a.read(record+atCounter, 8, transport, 16)
	a.content()
}

// delivered: wg_allowedips_lookup_src(table, skb) returns the peer whose AllowedIPs have the
// source. If that is the peer whose session it is, the packet is delivered; no other function
// calls it.
func (a *assembler) delivered() {
	a.argument(device, 0)
	a.add(asm.Add.Imm(device, -a.l.allowed))
	a.ours()
	a.argument(packet, 1)
	a.argument(peer, 2)
	a.whose()
	a.load(packet, a.l.control+a.l.pair)
	a.add(asm.Mov.Reg(pair, asm.R1))
	a.read(record+atIndex, 4, pair, a.l.own)
	a.read(record+atCounter, 8, packet, a.l.control+a.l.nonce)
	a.content()
}

// checked: wg_cookie_validate_packet(checker, skb, underLoad) returns the state of the MACs.
func (a *assembler) checked() {
	a.argument(device, 0)
	a.add(asm.Add.Imm(device, -a.l.checker))
	a.ours()
	a.argument(packet, 1)
	a.source()
	a.content()
	a.argument(asm.R1, 3)
	a.argument(asm.R2, 2)
	a.add(
		asm.And.Imm(asm.R1, 0xff),
		asm.And.Imm(asm.R2, 0xff),
		asm.LSh.Imm(asm.R2, 8),
		asm.Or.Reg(asm.R1, asm.R2),
		asm.StoreMem(asm.R10, record+atResult, asm.R1, asm.Word),
	)
}

// looked: wg_pubkey_hashtable_lookup(table, key) returns the peer. Which device the table
// belongs to is not known here: the thread that asks tells.
func (a *assembler) looked() {
	a.argument(peer, 1)
	a.read(record+atKey, 32, peer, 0)
	a.argument(peer, 2)
	a.read(record+atPeer, 8, peer, a.l.serial)
}

// indexed: wg_index_hashtable_lookup(table, kind, index, peer) returns where a handshake has
// its entry. What looks for sessions, for each data message, is left alone.
func (a *assembler) indexed() {
	a.argument(asm.R1, 1)
	a.add(
		asm.LSh.Imm(asm.R1, 32),
		asm.RSh.Imm(asm.R1, 32),
		asm.JNE.Imm(asm.R1, handshakesByIndex, done),
	)
	a.argument(pair, 4)
	a.read(record+atResult, 4, pair, a.l.state-a.l.entry)
	a.load(pair, a.l.handshakeOf-a.l.entry)
	a.add(asm.Mov.Reg(peer, asm.R1))
	a.whose()
}

// consumed: wg_noise_handshake_consume_initiation(message, wg) and _response return the peer,
// or nothing.
func (a *assembler) consumed() {
	a.argument(device, 1)
	a.ours()
	a.argument(peer, 2)
	a.whose()
}

// cookie: wg_cookie_message_consume(message, wg).
func (a *assembler) cookie() {
	a.argument(device, 1)
	a.ours()
	a.argument(peer, 0)
	a.read(record+atHeader, cookieLen, peer, 0)
	a.add(
		asm.Mov.Imm(asm.R1, cookieLen),
		asm.StoreMem(asm.R10, record+atLength, asm.R1, asm.Word),
		asm.StoreMem(asm.R10, record+atLinear, asm.R1, asm.Word),
	)
}
