// Package api is the daemon's control interface: HTTP with JSON bodies over a unix
// socket that only root can use. It is how the runtime wrapper, the hooks and the
// command line talk to the daemon; there is no other way in.
//
// Types are shared by both sides. A path begins with the version; within a
// version fields are only added.
package api

import (
	"path/filepath"
	"time"

	"cloister/cgroupview"
	"cloister/internal/sealed"
	"cloister/internal/sys"
	"cloister/runtimehook/idrange"
	"cloister/runtimehook/policy"
)

// Version is the first element of every path.
const Version = "v1"

// DefaultRunDir is where the daemon keeps what lives as long as the host is up.
const DefaultRunDir = "/run/cloister"

// DefaultStateDir is where it keeps what it must know again after a restart.
const DefaultStateDir = "/var/lib/cloister"

// BundlesDir returns where the bundles of `cloister run` are: on disk, because not
// every kernel can id-map a root file system on tmpfs.
func BundlesDir(stateDir string) string { return filepath.Join(stateDir, "bundles") }

// VolumesDir returns where the volumes of containers are that end with them.
func VolumesDir(stateDir string) string { return filepath.Join(stateDir, "volumes") }

// SocketPath returns the control socket of the daemon with a run directory.
func SocketPath(runDir string) string { return filepath.Join(runDir, "control.sock") }

// ListenerPath returns the socket to which runtimes send the descriptors of containers'
// trapped system calls, of the daemon with a run directory.
func ListenerPath(runDir string) string { return filepath.Join(runDir, "seccomp.sock") }

// KeeperPath returns what the keeper of the daemon with a run directory says of itself,
// also while the daemon can't be asked.
func KeeperPath(runDir string) string { return filepath.Join(runDir, "keeper.json") }

// Status is what the daemon says of itself.
type Status struct {
	Version    string `json:"version"`
	PID        int    `json:"pid"`
	WorkerPID  int    `json:"workerPid"` // the process that serves the views
	Containers int    `json:"containers"`
	// Views are the paths of the files that containers get.
	Views    []string `json:"views"`
	RunDir   string   `json:"runDir"`
	StateDir string   `json:"stateDir"`
	IDRegion IDRegion `json:"idRegion"`
	Runtime  Runtime  `json:"runtime"`
	// SettingsError is why the daemon goes by the settings of before: the file was broken
	// when the worker was replaced.
	SettingsError string `json:"settingsError,omitempty"`
	// Features tells what this host's kernel and runtime can do.
	Features map[string]bool `json:"features"`
	// Since is when the service began. Restarts is how often its worker has ended since
	// then without being told to, and LastExit says how the last time.
	Since    time.Time `json:"since"`
	Restarts int       `json:"restarts"`
	LastExit string    `json:"lastExit,omitempty"`
	// Kills is how often of these the worker had to be killed because it hung.
	Kills int `json:"kills"`
	// Upgrade is the last one.
	Upgrade *Upgrade `json:"upgrade,omitempty"`
	// Memory is what the worker has in RAM, in bytes.
	Memory   uint64       `json:"memory"`
	Served   ServedStats  `json:"served"`
	Syscalls SyscallStats `json:"syscalls"`
}

// SyscallStats is what was done with trapped system calls, in all containers, since the
// worker began to count.
type SyscallStats struct {
	Served uint64 `json:"served"`
	// Listeners are where calls arrive: one for each container and for each process that
	// was started in one later, as long as it or a child of it is there.
	Listeners int `json:"listeners"`
	// Refused is how often something else than a listener came from a runtime.
	Refused uint64 `json:"refused"`
}

// Upgrade is the change to another program, or to a new version of the same.
type Upgrade struct {
	Time  time.Time `json:"time"` // when it was asked for
	From  string    `json:"from"`
	To    string    `json:"to"`
	Done  bool      `json:"done"`            // else it is under way
	Error string    `json:"error,omitempty"` // why it has failed
}

// UpgradeRequest asks for one.
type UpgradeRequest struct {
	Program string `json:"program"` // absolute path
}

// ServedStats is what was done with all view files, in all containers.
type ServedStats struct {
	// Since is when the worker began to count.
	Since  time.Time `json:"since"`
	Opens  uint64    `json:"opens"`
	Reads  uint64    `json:"reads"` // that reached the daemon
	Bytes  uint64    `json:"bytes"` // that these reads returned
	Errors uint64    `json:"errors"`
	// P50Micros and P99Micros estimate how long half and 99 % of the requests that
	// rendered a file took at most, in microseconds.
	P50Micros float64 `json:"p50Micros"`
	P99Micros float64 `json:"p99Micros"`
}

// IDRegion is the region of user ids and how much of it containers use.
type IDRegion struct {
	Start uint32 `json:"start"`
	Size  uint32 `json:"size"`
	Used  uint64 `json:"used"`
}

// Runtime is a low-level runtime.
type Runtime struct {
	Path    string `json:"path"`
	Version string `json:"version"`
	// TimeNamespace tells whether it can give a container a time namespace.
	TimeNamespace bool `json:"timeNamespace"`
	// WaitKillable tells whether it knows SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, and the
	// kernel has it.
	WaitKillable bool `json:"waitKillable"`
}

// Container is a container as `cloister ps` shows it.
type Container struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	PID       int       `json:"pid"` // of its init, 0 while it is being made
	UIDStart  uint32    `json:"uidStart"`
	Size      uint32    `json:"size"`
	Engine    string    `json:"engine"`
	Runtime   string    `json:"runtime"`
	Cgroup    string    `json:"cgroup"`
	CreatedAt time.Time `json:"createdAt"`
	// Views are the files of /proc and /sys that are the container's own.
	Views []string `json:"views"`
}

// ContainerDetails is a container as `cloister inspect` shows it.
type ContainerDetails struct {
	Container
	Key         string           `json:"key"`
	State       string           `json:"state"`
	Bundle      string           `json:"bundle"`
	RuntimeRoot string           `json:"runtimeRoot"`
	ViewsPath   string           `json:"viewsPath"`
	Cgroups     cgroupview.Paths `json:"cgroups"`
	// SharesWith are the containers in the same user namespace.
	SharesWith []string `json:"sharesWith"`
}

// Rules is what the wrapper needs to know before it registers a container.
type Rules struct {
	Policy policy.Lists `json:"policy"`
	// Bundles is the directory of the bundles of `cloister run`.
	Bundles string `json:"bundles"`
	// Views are the paths of the files that containers get in place of the host's.
	Views []string `json:"views"`
	// CPUAffinity tells that sched_getaffinity shows as many CPUs as the container's
	// quota is worth.
	CPUAffinity bool `json:"cpuAffinity"`
}

// Registration announces a container that is about to be created.
type Registration struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Engine      string `json:"engine"`
	Bundle      string `json:"bundle"`
	Runtime     string `json:"runtime"`     // path of the low-level runtime
	RuntimeRoot string `json:"runtimeRoot"` // its --root
	// PID is the process that becomes the runtime; when it ends before the
	// container has started, the registration ends.
	PID int `json:"pid"`
	// CgroupsPath is where the config wants the container's cgroup, "" if that is
	// not a path from the root of the hierarchies.
	CgroupsPath string `json:"cgroupsPath,omitempty"`
	// UpperDir is the upper directory of the root file system's overlay, if it is
	// one: cloister's work directory beside it ends with the registration.
	UpperDir string `json:"upperDir,omitempty"`
	// UserNamespace, if set, is the one that owns the namespaces which the
	// container shares with another container.
	UserNamespace *sys.FileID `json:"userNamespace,omitempty"`
	// EngineIDs, if set, is the range that the engine has chosen itself; a size of
	// 0 means that its prestart hook will see it.
	EngineIDs *idrange.Range `json:"engineIds,omitempty"`
	// Nesting tells that the container may have containers of its own: its cgroup becomes
	// its own to divide.
	Nesting bool `json:"nesting,omitempty"`
}

// Grant is the answer to a Registration.
type Grant struct {
	// Key names the registration from now on.
	Key string `json:"key"`
	// Dir is the container's directory below the run directory.
	Dir string        `json:"dir"`
	IDs idrange.Range `json:"ids"`
	// VolumesDir is where the container's volumes go that end with the registration.
	VolumesDir string `json:"volumesDir"`
	// OwnerPID is the init of the container whose user namespace is joined, else 0.
	OwnerPID int     `json:"ownerPid"`
	Runtime  Runtime `json:"runtime"`
}

// Start is what the prestart hook reports of a container that is about to start.
type Start struct {
	ID     string `json:"id"`
	PID    int    `json:"pid"`
	Bundle string `json:"bundle"`
	// Key is the registration's, empty for a container that did not come through
	// the wrapper.
	Key string `json:"key,omitempty"`
	// Gone, if set, is the process of a workshop that the hook was told of and that has
	// ended.
	Gone int `json:"gone,omitempty"`
	// Name and Engine are set for one that did not come through the wrapper.
	Name   string `json:"name,omitempty"`
	Engine string `json:"engine,omitempty"`
	// Nesting is the registration's, for one that did not come through the wrapper.
	Nesting bool `json:"nesting,omitempty"`
}

// Views tells the prestart hook what to attach.
type Views struct {
	Key string `json:"key"`
	// Attached tells that the container has its views already: two hooks ran.
	Attached bool `json:"attached"`
	// Views are what to put over which of the container's files.
	Views []sealed.View `json:"views"`
	// IDs is the container's range.
	IDs idrange.Range `json:"ids"`
	// StageDir is the directory where the container's mounts were staged.
	StageDir string `json:"stageDir"`
	// Workshop is where the container's proc and sysfs are sealed.
	Workshop sealed.Address `json:"workshop"`
}

// Nested asks for views of a cgroup below that of a container: of a container in the
// container, say.
type Nested struct {
	Cgroups cgroupview.Paths `json:"cgroups"`
	// PID is the first process there; the time in the views begins with it.
	PID int `json:"pid"`
}

// Attached is what the hook reports in the end.
type Attached struct {
	// Views are the paths of those that were attached.
	Views []string `json:"views"`
	// Plan is what is over the container's proc and sysfs.
	Plan sealed.Plan `json:"plan"`
	// ProcReadOnly and SysReadOnly tell what its first ones are.
	ProcReadOnly bool `json:"procReadOnly,omitempty"`
	SysReadOnly  bool `json:"sysReadOnly,omitempty"`
}

// Refusal says why a container was not started.
type Refusal struct {
	ID     string `json:"id"`
	By     string `json:"by"` // the wrapper or a hook
	Reason string `json:"reason"`
}

// Error is the body of every answer that is not a success.
type Error struct {
	Message string `json:"error"`
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }
