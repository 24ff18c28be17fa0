package config_test

import (
	"fmt"
	"log"
	"strings"

	"github.com/wgnode/wgnode/node/config"
)

// A file in wg-quick's format. What it says is plain data, and keys do not print.
func ExampleParse() {
	cfg, err := config.Parse(strings.NewReader(`
[Interface]
PrivateKey = YAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=
Address = 10.0.0.1/24
ListenPort = 51820

[Peer]
# Name = bob
PublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=
Endpoint = bob.example.com:51820
AllowedIPs = 10.0.0.2/32, 192.168.7.0/24
`), "wg0.conf")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(cfg.Interface.Addresses, cfg.Interface.ListenPort, cfg.Interface.PrivateKey)
	for _, p := range cfg.Peers {
		fmt.Println(p.Name, p.Endpoint, p.AllowedIPs)
	}
	// Output:
	// [10.0.0.1/24] 51820 (hidden)
	// bob bob.example.com:51820 [10.0.0.2/32 192.168.7.0/24]
}

// All that is wrong is told at once, each with its line and key, and never the value of a key that
// may be secret.
func ExampleErrors() {
	_, err := config.Parse(strings.NewReader("[Interface]\nPrivateKey = abc\nAddres = 10.0.0.1/24\n"), "wg0.conf")
	fmt.Println(err)
	// Output:
	// wg0.conf:2: PrivateKey: not a key: want 44 characters of base64
	// wg0.conf:3: unknown key "Addres" (did you mean Address?)
}
