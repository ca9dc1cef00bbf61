package vm

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// MirrorEnv names a mirror of Debian. Without it the one is used that the host's
// own apt is configured for.
const MirrorEnv = "CLOISTER_VM_MIRROR"

// keyring holds the keys of every suite; it is in Debian's package
// debian-archive-keyring.
const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// apt is an apt with a state of its own: lists and archives of one suite, and a
// system with nothing installed. Nothing of the host's is changed.
type apt struct{ dir string }

// apt prepares the lists of a suite. Preconditions: the cache is locked.
func (c *Cache) apt(ctx context.Context, suite string) (*apt, error) {
	a := &apt{dir: filepath.Join(c.dir, "apt", suite)}
	if err := os.RemoveAll(a.archives()); err != nil {
		return nil, err
	}
	for _, d := range []string{"none", "sources", "state", "lists/partial", "archives/partial"} {
		if err := os.MkdirAll(filepath.Join(a.dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	mirror, err := mirror(ctx)
	if err != nil {
		return nil, err
	}
	conf, err := a.conf(ctx)
	if err != nil {
		return nil, err
	}
	sources := fmt.Sprintf("Types: deb\nURIs: %s\nSuites: %s\nComponents: main\n", mirror, suite)
	if exists(keyring) {
		sources += "Signed-By: " + keyring + "\n"
	}
	for name, text := range map[string]string{"apt.conf": conf, "sources/debian.sources": sources, "status": ""} {
		if err := os.WriteFile(filepath.Join(a.dir, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	_, err = a.run(ctx, "apt-get", "update", "--error-on=any")
	return a, err
}

func (a *apt) archives() string { return filepath.Join(a.dir, "archives") }

// run runs one of apt's programs. What it downloads is in the archives.
func (a *apt) run(ctx context.Context, program string, args ...string) (string, error) {
	return run(ctx, a.archives(), []string{"APT_CONFIG=" + filepath.Join(a.dir, "apt.conf"), "LC_ALL=C"}, program, args...)
}

// mirror returns a mirror of Debian: one that offers "main" under a path that ends
// in "/debian".
func mirror(ctx context.Context) (string, error) {
	if m := os.Getenv(MirrorEnv); m != "" {
		return m, nil
	}
	out, err := run(ctx, "", nil, "apt-get", "indextargets", "--no-release-info", "--format", "$(REPO_URI) $(COMPONENT)", "Created-By: Packages")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(out) {
		uri, component, _ := strings.Cut(strings.TrimSpace(line), " ")
		if component == "main" && strings.HasSuffix(strings.TrimSuffix(uri, "/"), "/debian") {
			return uri, nil
		}
	}
	return "", fmt.Errorf("a mirror of Debian, in apt's sources or in %s, %w", MirrorEnv, ErrMissing)
}

// conf returns the configuration: how the host's apt acquires files, in our
// directories.
func (a *apt) conf(ctx context.Context) (string, error) {
	acquire, err := run(ctx, "", nil, "apt-config", "dump", "Acquire")
	if err != nil {
		return "", err
	}
	var conf strings.Builder
	for line := range strings.Lines(acquire) {
		if !strings.HasPrefix(line, "Acquire::IndexTargets") && !strings.HasPrefix(line, "Acquire::Languages") {
			conf.WriteString(line)
		}
	}
	fmt.Fprintf(&conf, `
APT::Architecture "amd64";
APT::Architectures { "amd64"; };
APT::Install-Recommends "false";
APT::Sandbox::User "";
Acquire::Languages "none";
Debug::NoLocking "true";
Dir::Cache "%[1]s";
Dir::Cache::archives "%[1]s/archives";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Dir::Etc::main "/dev/null";
Dir::Etc::parts "%[1]s/none";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "%[1]s/none";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "%[1]s/sources";
Dir::State "%[1]s/state";
Dir::State::lists "%[1]s/lists";
Dir::State::status "%[1]s/status";
`, a.dir)
	return conf.String(), nil
}

// install downloads packages and all that they depend on.
func (a *apt) install(ctx context.Context, names []string) error {
	_, err := a.run(ctx, "apt-get", append([]string{"install", "--yes", "--download-only"}, names...)...)
	return err
}

// download downloads a package, and of all that it depends on those whose names
// match a pattern.
func (a *apt) download(ctx context.Context, name string, pattern *regexp.Regexp) error {
	out, err := a.run(ctx, "apt-cache", "depends", "--recurse", "--important", name)
	if err != nil {
		return err
	}
	names := pattern.FindAllString(out, -1)
	slices.Sort(names)
	_, err = a.run(ctx, "apt-get", append([]string{"download"}, slices.Compact(names)...)...)
	return err
}

// unpack unpacks what has been downloaded, and removes it.
func (a *apt) unpack(ctx context.Context, dir string) error {
	debs, err := filepath.Glob(filepath.Join(a.archives(), "*.deb"))
	if err != nil {
		return err
	}
	for _, deb := range debs {
		if _, err := run(ctx, "", nil, "dpkg-deb", "--extract", deb, dir); err != nil {
			return err
		}
	}
	return os.RemoveAll(a.archives())
}
