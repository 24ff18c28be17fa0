package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

const (
	repository = "wgnode"
	source     = "https://github.com/wgnode/wgnode"
	// user is nobody in particular, the one of examples/container.
	user = 65532
)

// image is what a container of wgnode is made of. It is written as an OCI image layout in a
// tar, with the list of contents beside it that `docker load` wants of every version.
type image struct {
	program, docs, version, revision string
	// platform is GOARCH, and after a slash its variant.
	platform string
	at       time.Time
}

// The documents are those of the OCI image specification, version 1.1.
type (
	descriptor struct {
		MediaType   string            `json:"mediaType"`
		Digest      string            `json:"digest"`
		Size        int               `json:"size"`
		Platform    *platform         `json:"platform,omitempty"`
		Annotations map[string]string `json:"annotations,omitempty"`
	}
	platform struct {
		Architecture string `json:"architecture"`
		OS           string `json:"os"`
		Variant      string `json:"variant,omitempty"`
	}
	config struct {
		Created time.Time `json:"created"`
		platform
		Config  runConfig `json:"config"`
		Rootfs  rootfs    `json:"rootfs"`
		History []history `json:"history"`
	}
	runConfig struct {
		User       string            `json:"User"`
		Env        []string          `json:"Env"`
		Entrypoint []string          `json:"Entrypoint"`
		Cmd        []string          `json:"Cmd"`
		Labels     map[string]string `json:"Labels"`
	}
	rootfs struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	}
	history struct {
		Created   time.Time `json:"created"`
		CreatedBy string    `json:"created_by"`
	}
	manifest struct {
		SchemaVersion int          `json:"schemaVersion"`
		MediaType     string       `json:"mediaType"`
		Config        descriptor   `json:"config"`
		Layers        []descriptor `json:"layers"`
	}
	index struct {
		SchemaVersion int          `json:"schemaVersion"`
		MediaType     string       `json:"mediaType"`
		Manifests     []descriptor `json:"manifests"`
	}
	// loaded is an element of manifest.json, Docker's own list.
	loaded struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
)

const mediaType = "application/vnd.oci.image."

// layout collects the blobs of an image.
type layout struct{ entries []entry }

func (l *layout) file(name string, data []byte) {
	l.entries = append(l.entries, entry{name: name, mode: 0o644, data: data})
}

func (l *layout) folder(name string) {
	l.entries = append(l.entries, entry{name: name, mode: 0o755})
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func blobPath(digest string) string { return "blobs/" + strings.Replace(digest, ":", "/", 1) }

func (l *layout) blob(kind string, data []byte) descriptor {
	d := descriptor{MediaType: mediaType + kind, Digest: digest(data), Size: len(data)}
	l.file(blobPath(d.Digest), data)
	return d
}

func (l *layout) document(kind string, v any) (descriptor, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return descriptor{}, err
	}
	return l.blob(kind, data), nil
}

// layers are the folders and names that a program expects of any host, and the program. The
// first is the same in each release.
func (i image) layers() ([][]entry, error) {
	const passwd = "root:x:0:0:root:/:/wgnode\nwgnode:x:65532:65532:wgnode:/:/wgnode\n"
	base := []entry{
		{name: "etc/", mode: 0o755},
		{name: "etc/group", mode: 0o644, data: []byte("root:x:0:\nwgnode:x:65532:\n")},
		{name: "etc/passwd", mode: 0o644, data: []byte(passwd)},
		{name: "etc/wireguard/", mode: 0o755},
		// The node's sockets go there, all that it writes.
		{name: "run/", mode: 0o755, uid: user},
	}
	program, err := os.ReadFile(i.program)
	if err != nil {
		return nil, err
	}
	upper := []entry{
		{name: "usr/", mode: 0o755}, {name: "usr/share/", mode: 0o755}, {name: "usr/share/doc/", mode: 0o755},
		{name: "usr/share/doc/wgnode/", mode: 0o755},
	}
	for _, name := range []string{"copyright", "third-party-licenses"} {
		data, err := os.ReadFile(path.Join(i.docs, name))
		if err != nil {
			return nil, err
		}
		upper = append(upper, entry{name: "usr/share/doc/wgnode/" + name, mode: 0o644, data: data})
	}
	return [][]entry{base, append(upper, entry{name: "wgnode", mode: 0o755, data: program})}, nil
}

func (i image) write(file string) error {
	layers, err := i.layers()
	if err != nil {
		return err
	}
	var l layout
	l.folder("blobs/")
	l.folder("blobs/sha256/")
	p := platform{OS: "linux"}
	p.Architecture, p.Variant, _ = strings.Cut(i.platform, "/")
	m := manifest{SchemaVersion: 2, MediaType: mediaType + "manifest.v1+json"}
	c := config{Created: i.at, platform: p, Config: i.runConfig(), Rootfs: rootfs{Type: "layers"}}
	for n, entries := range layers {
		var plain, packed bytes.Buffer
		if err := errors.Join(writeTar(&plain, entries, i.at), writeTarGz(&packed, entries, i.at)); err != nil {
			return fmt.Errorf("write layer %d: %w", n, err)
		}
		c.Rootfs.DiffIDs = append(c.Rootfs.DiffIDs, digest(plain.Bytes()))
		c.History = append(c.History, history{Created: i.at, CreatedBy: "make release"})
		m.Layers = append(m.Layers, l.blob("layer.v1.tar+gzip", packed.Bytes()))
	}
	if m.Config, err = l.document("config.v1+json", c); err != nil {
		return err
	}
	d, err := l.document("manifest.v1+json", m)
	if err != nil {
		return err
	}
	d.Platform = &p
	return i.finish(&l, m, d, file)
}

// finish adds what says where to begin, and writes all of it.
func (i image) finish(l *layout, m manifest, d descriptor, file string) error {
	tag := strings.ReplaceAll(i.version, "+", "-") // which no tag may have
	name := repository + ":" + tag
	d.Annotations = map[string]string{
		"org.opencontainers.image.ref.name": tag,
		"io.containerd.image.name":          "docker.io/library/" + name,
	}
	docker := loaded{Config: blobPath(m.Config.Digest), RepoTags: []string{name}}
	for _, layer := range m.Layers {
		docker.Layers = append(docker.Layers, blobPath(layer.Digest))
	}
	for name, v := range map[string]any{
		"index.json":    index{SchemaVersion: 2, MediaType: mediaType + "index.v1+json", Manifests: []descriptor{d}},
		"manifest.json": []loaded{docker},
		"oci-layout":    map[string]string{"imageLayoutVersion": "1.0.0"},
	} {
		data, err := json.Marshal(v)
		if err != nil {
			return err
		}
		l.file(name, data)
	}
	l.sort()
	return create(file, func(w io.Writer) error { return writeTar(w, l.entries, i.at) })
}

// runConfig is that of examples/container/Containerfile.
func (i image) runConfig() runConfig {
	const label = "org.opencontainers.image."
	return runConfig{
		User:       fmt.Sprintf("%d:%d", user, user),
		Env:        []string{"XDG_RUNTIME_DIR=/run"},
		Entrypoint: []string{"/wgnode"},
		Cmd:        []string{"run", "/etc/wireguard/wg0.conf"},
		Labels: map[string]string{
			label + "title":       "wgnode",
			label + "description": "Userspace WireGuard node that explains itself",
			label + "licenses":    "MIT",
			label + "source":      source,
			label + "version":     i.version,
			label + "revision":    i.revision,
			label + "created":     i.at.Format(time.RFC3339),
		},
	}
}

// sort brings the files into one order, folders before what is in them.
func (l *layout) sort() {
	slices.SortFunc(l.entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
}
