package fix

import "testing"

// No step states a number that cannot be meant, or takes from a host its own addresses,
// whichever rule made it.
func TestSound(t *testing.T) {
	own := Where{Section: "Interface"}
	for _, c := range []struct {
		step Step
		ok   bool
	}{
		{step: Command("ip link set mtu %d dev wg0", 1420), ok: true},
		{step: Command("ip link set mtu %d dev wg0", 0)},
		{step: Command("ip link set dev %s mtu %d", "wg0", -12)},
		{step: Commands("ip link set mtu 70000 dev wg0")[0]},
		{step: Config(own, "MTU", "1280"), ok: true},
		{step: Config(own, "MTU", "0")},
		{step: Config(own, "Address", "0"), ok: true},
		{step: Config(own, "PersistentKeepalive", "25"), ok: true},
		{step: Config(own, "PersistentKeepalive", "-1")},
		{step: Config(own, "ListenPort", "0")},
		{step: Config(own, "ListenPort", "PORT"), ok: true},
		{step: Command("nft add rule inet filter forward tcp option maxseg size set %d", 1380), ok: true},
		{step: Command("nft add rule inet filter forward tcp option maxseg size set %d", -40)},
		{step: Command("ip -4 route del local 10.7.0.1 dev wg0 table local")},
		{step: Command("ip route del 10.7.0.1 dev wg0 table 255")},
		{step: Command("ip -6 rule del pref 0 lookup local")},
		{step: Command("ip -4 route del 10.7.0.0/24 dev wg0 table 51820"), ok: true},
		{step: Command("ip -4 route del 10.7.0.0/24 dev local0"), ok: true},
		{step: Check("ip route show table local"), ok: true},
	} {
		if kept := c.step.Kind != KindNote; kept != c.ok {
			t.Errorf("%q: kept %v", c.step.Line(), kept)
		}
	}
}
