// Package hostile tests cloister with containers that attack: known attacks, every way to
// change the mounts that protect the host, arguments that change while they are looked at,
// and arguments that make no sense. What the attackers run is in the probe directory; they
// know of cloister only what a container sees. Run it with `make test-hostile`.
//
// The attacks are tried in containers of a plain runc as well, where that is safe, and
// docs/security.md has the answers side by side: -update writes it.
package hostile
