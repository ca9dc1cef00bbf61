package doctor

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"cloister/internal/api"
	"cloister/internal/feature"
)

func TestPrivileges(t *testing.T) {
	without := func(name string) func() (map[string]bool, error) {
		have := allCapabilities()
		delete(have, name)
		return func() (map[string]bool, error) { return have, nil }
	}
	h := newHost(t, nil)
	h.Capabilities = without("CAP_SYS_RESOURCE")
	expect(t, h, privileges(h), Finding{
		State: Warn, Detail: "lacks CAP_SYS_RESOURCE, and so does every container",
		Next: "give these capabilities to the virtual machine or container that this host runs in, if a container needs them",
	})
	h.Capabilities = without("CAP_SYS_ADMIN")
	expect(t, h, privileges(h), Finding{
		State: Fail, Detail: "lacks CAP_SYS_ADMIN; cloister can't work without them",
		Next: "give these capabilities to the virtual machine or container that this host runs in",
	})
}

func TestKernel(t *testing.T) {
	h := newHost(t, map[string]string{"/var/lib/": ""})
	h.Features = func(dir string) []feature.Feature {
		if want := h.Root.Path("/var/lib"); dir != want {
			t.Errorf("probes in %s, want %s", dir, want)
		}
		return []feature.Feature{
			{Name: "good", Needed: true},
			{Name: "userNamespaces", Needed: true, Kernel: "3.8", Purpose: "containers have ids", Err: syscall.ENOSPC},
			{Name: "idMappedTmpfs", Kernel: "6.3", Purpose: "tmpfs can be mounted", Err: syscall.EINVAL},
			{Name: "fuse", Needed: true, Err: syscall.ENOENT},
		}
	}
	expect(t, h, kernel(h),
		Finding{
			State: Fail, Detail: "userNamespaces does not work (needed so that containers have ids): no space left on device",
			Next: "sysctl user.max_user_namespaces=65536",
		},
		Finding{
			State: Warn, Detail: "idMappedTmpfs does not work (needed so that tmpfs can be mounted): invalid argument",
			Next: "boot Linux 6.3 or later, with this built in and not switched off",
		})
}

func TestFuseDeviceMissing(t *testing.T) {
	h := newHost(t, nil)
	if err := os.Remove(h.Root.Path("/dev/fuse")); err != nil {
		t.Fatal(err)
	}
	expect(t, h, fuseDevice(h), Finding{State: Fail, Detail: "it is missing: the kernel's FUSE is not loaded", Next: "modprobe fuse"})
}

const v1Mounts = `31 1 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
33 31 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset
34 31 0:31 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
35 31 0:32 / /sys/fs/cgroup/blkio rw - cgroup cgroup rw,blkio
`

func TestCgroups(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  Finding
	}{
		{
			"v1",
			map[string]string{"/proc/self/mountinfo": v1Mounts + "36 31 0:33 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"},
			Finding{State: OK, Detail: "v1 with memory cpu cpuset pids blkio"},
		},
		{
			"hybrid",
			map[string]string{
				"/proc/self/mountinfo":                      v1Mounts + "36 31 0:33 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
				"/sys/fs/cgroup/unified/cgroup.controllers": "memory\n",
			},
			Finding{State: OK, Detail: "v1 beside v2 (hybrid) with memory cpu cpuset pids blkio"},
		},
		{
			"no memory",
			map[string]string{"/sys/fs/cgroup/cgroup.controllers": "cpuset cpu io pids\n"},
			Finding{
				State: Warn, Detail: "v2 without the controllers memory: containers can't be limited in these, and see the host's figures",
				Next: "boot with the kernel parameter cgroup_enable=memory, or a kernel that has them",
			},
		},
		{
			"none",
			map[string]string{"/proc/self/mountinfo": ""},
			Finding{State: Fail, Detail: "find cgroup mounts: no cgroup of its own", Next: "mount -t cgroup2 cgroup2 /sys/fs/cgroup"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t, tt.files)
			expect(t, h, cgroups(h), tt.want)
		})
	}
}

func TestLowLevelRuntime(t *testing.T) {
	const (
		november = "may lack the fixes of November 2025"
		upgrade  = "install runc 1.2.8"
	)
	for _, tt := range []struct {
		name, runtime, version string
		features               error
		files                  map[string]string
		state                  State
		detail, next           string // parts
	}{
		{name: "fixed", runtime: "runc", version: "runc version 1.2.8", state: OK, detail: "with time namespaces"},
		{name: "old", runtime: "runc", version: "runc version 1.1.5+ds1", state: Warn, detail: november, next: upgrade},
		{name: "unreadable version", runtime: "runc", version: "runc", state: Warn, detail: november, next: upgrade},
		{name: "crun", runtime: "crun", version: "crun version 1.8.1", features: errors.New("no"), state: OK, detail: "without time namespaces"},
		{
			name: "crun on a hybrid host", runtime: "crun", version: "crun version 1.28",
			files: map[string]string{"/sys/fs/cgroup/unified/cgroup.controllers": "hugetlb\n"},
			state: Fail, detail: "crun refuses", next: "install runc",
		},
		{
			name: "crun on a hybrid host without controllers in v2", runtime: "crun", version: "crun version 1.28",
			files: map[string]string{"/sys/fs/cgroup/unified/cgroup.controllers": ""},
			state: OK, detail: "crun version 1.28",
		},
		{name: "none", state: Fail, detail: "none of runc, crun is installed", next: "install runc or crun"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t, tt.files)
			if err := os.Remove(h.Root.Path("/usr/sbin/runc")); err != nil {
				t.Fatal(err)
			}
			if tt.runtime != "" {
				h.write(t, "/usr/bin/"+tt.runtime, "")
			}
			old := h.Output
			h.Output = func(path string, args ...string) (string, error) {
				if args[0] == "--version" {
					return tt.version + "\n", nil
				}
				out, _ := old(path, args...)
				return out, tt.features
			}
			got := lowLevelRuntime(h)
			if len(got) != 1 || got[0].State != tt.state || !strings.Contains(got[0].Detail, tt.detail) || !strings.Contains(got[0].Next, tt.next) {
				t.Errorf("got %+v, want %s, %q and %q", got, tt.state, tt.detail, tt.next)
			}
		})
	}
}

func TestHasNovemberFixes(t *testing.T) {
	for title, want := range map[string]bool{
		"runc version 1.0.0":        false,
		"runc version 1.1.15":       false,
		"runc version 1.2.7":        false,
		"runc version 1.2.8":        true,
		"runc version 1.2.10":       true,
		"runc version 1.3.2":        false,
		"runc version 1.3.3":        true,
		"runc version 1.4.0-rc.2":   false,
		"runc version 1.4.0-rc.3":   true,
		"runc version 1.4.0":        true,
		"runc version 1.4.1-rc.1":   true,
		"runc version 1.5.0-rc.1":   true,
		"runc version 2.0.0":        true,
		"runc version 1.3.6+ds1-1":  true,
		"runc version unknown":      false,
		"runc version 99999999999.": false,
	} {
		if got := hasNovemberFixes(title); got != want {
			t.Errorf("%s: got %v, want %v", title, got, want)
		}
	}
}

func TestSubordinateIDs(t *testing.T) {
	const settings = `{"configurationFileVersion": 2, "cloister": {"idRegion": {"start": 100000, "size": 131072}}}`
	for _, tt := range []struct {
		name, subuid, subgid string
		want                 Finding
	}{
		{"free", "", "", Finding{State: OK, Detail: "100000-231071, room for 2 containers"}},
		{"own line", "cloister:100000:131072\n", "", Finding{State: OK, Detail: "100000-231071, room for 2 containers"}},
		{
			"overlap", "ann:100000:65536\nbob:900000:65536\n", "ann:100000:65536\n",
			Finding{State: OK, Detail: "100000-231071, room for 1 containers; skipped, because they belong to others: ann:100000:65536"},
		},
		{
			"nothing left", "ann:100000:65536\n", "bob:231000:1\n",
			Finding{
				State: Fail, Detail: "all of 100000-231071 belong to others: ann:100000:65536 bob:231000:1",
				Next: "choose another cloister.idRegion in /etc/cloister/settings.json",
			},
		},
		{
			"broken", "ann:1:2\nbob:x:1\n", "",
			Finding{
				State: Fail, Detail: `/etc/subuid: line 2: "bob:x:1": strconv.ParseUint: parsing "x": invalid syntax`,
				Next: "correct the line; while it can't be read, no container gets ids",
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t, map[string]string{"/etc/subuid": tt.subuid, "/etc/subgid": tt.subgid, "/etc/cloister/settings.json": settings})
			expect(t, h, subordinateIDs(h), tt.want)
		})
	}
}

func TestKubelet(t *testing.T) {
	h := newHost(t, map[string]string{"/etc/subuid": "ann:268566528:1\n"})
	expect(t, h, kubelet(h))
	h.write(t, "/usr/bin/kubelet", "")
	expect(t, h, kubelet(h), Finding{
		State:  Warn,
		Detail: "no line of /etc/subuid and /etc/subgid is for the user kubelet, so it may give a pod with hostUsers: false any ids, even a container's",
		Next:   "useradd --system kubelet; echo kubelet:268632064:7208960 | tee -a /etc/subuid /etc/subgid",
	})
	h.write(t, "/etc/subuid", "kubelet:268632064:7208960\n")
	expect(t, h, kubelet(h), Finding{State: OK, Detail: "takes the ids of its pods from 268632064:7208960"})
}

func TestSettingsFile(t *testing.T) {
	h := newHost(t, map[string]string{"/etc/cloister/settings.json": `{"configurationFileVersion": 2}`})
	expect(t, h, settingsFile(h), Finding{State: OK, Detail: "/etc/cloister/settings.json is valid"})
	h.write(t, "/etc/cloister/settings.json", "{\n  \"cloister\": 1\n}")
	got := settingsFile(h)
	if len(got) != 1 || got[0].State != Fail || !strings.Contains(got[0].Detail, "line 2") {
		t.Errorf("got %+v, want a failure that names the line", got)
	}
}

func TestDaemon(t *testing.T) {
	h := newHost(t, nil)
	h.Status = func() (*api.Status, error) { return &api.Status{Version: "0.9"}, nil }
	expect(t, h, daemon(h), Finding{State: Warn, Detail: "it runs version 0.9, but 1.0 is installed", Next: "systemctl restart cloister"})
	h.Status = func() (*api.Status, error) { return nil, api.ErrNoDaemon }
	expect(t, h, daemon(h), Finding{State: Fail, Detail: "nobody answers on /run/cloister/control.sock", Next: "systemctl restart cloister"})
	h.Status = func() (*api.Status, error) { return nil, &api.Error{Message: "oops"} }
	expect(t, h, daemon(h), Finding{State: Fail, Detail: "oops", Next: "see its log: journalctl -u cloister"})
}

func TestRunDirectory(t *testing.T) {
	h := newHost(t, nil)
	chmod := func(path string, mode os.FileMode) {
		if err := os.Chmod(h.Root.Path(path), mode); err != nil {
			t.Fatal(err)
		}
	}
	chmod("/run/cloister", 0o722)
	expect(t, h, runDirectory(h), Finding{State: Fail, Detail: "others than root can write to /run/cloister", Next: "chmod 711 /run/cloister"})
	chmod("/run/cloister", 0o711)
	chmod("/run", 0o700)
	expect(t, h, runDirectory(h), Finding{
		State: Fail, Detail: "users of containers can't pass /run, where their files are", Next: "chmod o+x /run",
	})
	h.RunDir = "/elsewhere"
	expect(t, h, runDirectory(h), Finding{State: OK, Detail: "/elsewhere is not there yet; the daemon makes it"})
}

func TestStaleMounts(t *testing.T) {
	h := newHost(t, map[string]string{"/proc/self/mountinfo": v2Mounts + `40 1 0:50 / /run/cloister/views/exact ro - fuse.cloister cloister ro
41 1 0:51 / /srv/views ro - fuse.cloister cloister ro
42 1 0:52 / /srv/other ro - fuse.other other ro
`})
	dead := map[string]bool{"/run/cloister/views/exact": true}
	h.Stat = func(path string) error {
		if dead[path] {
			return &os.PathError{Op: "statfs", Path: path, Err: syscall.ENOTCONN}
		}
		return nil
	}
	expect(t, h, staleMounts(h), Finding{State: Warn, Detail: "no daemon serves /run/cloister/views/exact any more", Next: "start the daemon, which replaces them"})
	dead["/srv/views"] = true
	expect(t, h, staleMounts(h), Finding{
		State: Warn, Detail: "no daemon serves /run/cloister/views/exact /srv/views any more", Next: "umount -l /run/cloister/views/exact /srv/views",
	})
}
