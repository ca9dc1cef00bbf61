package spec

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// rulesOf returns the rules that name socket or socketcall, a line each.
func rulesOf(t *testing.T, profile object) []string {
	t.Helper()
	var all []string
	for _, l := range strings.Split(lines(t, profile), "\n") {
		if strings.Contains(l, `"socket`) {
			all = append(all, l)
		}
	}
	return all
}

const (
	notifies = `{"action":"SCMP_ACT_NOTIFY","args":[{"index":0,"op":"SCMP_CMP_EQ","value":1}],"names":["socketcall"]}`
	elseAs   = `{"action":"SCMP_ACT_ALLOW","args":[{"index":0,"op":"SCMP_CMP_NE","value":1}],"names":["socketcall"]}`
	even     = `{"index":1,"op":"SCMP_CMP_MASKED_EQ","value":1}`
	odd      = `{"index":1,"op":"SCMP_CMP_MASKED_EQ","value":1,"valueTwo":1}`
)

// The rule that asks the daemon must be the first for socketcall, none for socket may have
// conditions on the family alone, and what a profile says must stay: see eitherType.
func TestSocketcallIsTrapped(t *testing.T) {
	const (
		closed = `{"defaultAction":"SCMP_ACT_ERRNO","architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_X86"],"syscalls":[
			{"names":["sysinfo"],"action":"SCMP_ACT_ALLOW"},`
		notVSOCK = `{"index":0,"op":"SCMP_CMP_NE","value":40}`
		audit    = `{"action":"SCMP_ACT_ALLOW","args":[{"index":2,"op":"SCMP_CMP_NE","value":9}],"names":["socket"]}`
	)
	split := []string{
		`{"action":"SCMP_ACT_ALLOW","args":[` + notVSOCK + `,` + even + `],"names":["socket"]}`,
		`{"action":"SCMP_ACT_ALLOW","args":[` + notVSOCK + `,` + odd + `],"names":["socket"]}`,
	}
	with := func(first []string, others ...string) []string { return append(first, others...) }
	for _, tt := range []struct {
		what, profile string
		want          []string
	}{
		{
			"beside a family that is denied", closed + `{"names":["bind","socketcall"],"action":"SCMP_ACT_ALLOW"},
			{"names":["socket"],"action":"SCMP_ACT_ALLOW","args":[` + notVSOCK + `]}]}`,
			with([]string{notifies, elseAs}, split...),
		},
		{
			"where only socket is named", closed + `{"names":["socket"],"action":"SCMP_ACT_ALLOW","args":[` + notVSOCK + `]}]}`,
			with([]string{notifies}, split...),
		},
		{
			"beside conditions on more", closed + `{"names":["socketcall"],"action":"SCMP_ACT_ALLOW"},` + audit + `]}`,
			[]string{notifies, elseAs, audit},
		},
		{
			"beside a rule of more names", closed + `{"names":["socketcall"],"action":"SCMP_ACT_ALLOW"},
			{"names":["bind","socket"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"op":"SCMP_CMP_NE","value":40}]}]}`,
			with([]string{notifies, elseAs}, split...),
		},
		{
			"not where all sockets are allowed", closed + `{"names":["socket","socketcall"],"action":"SCMP_ACT_ALLOW"}]}`,
			[]string{`{"action":"SCMP_ACT_ALLOW","names":["socket","socketcall"]}`},
		},
		{
			"not where it is denied", closed + `{"names":["socketcall"],"action":"SCMP_ACT_ERRNO","errnoRet":38},` + audit + `]}`,
			[]string{`{"action":"SCMP_ACT_ERRNO","errnoRet":38,"names":["socketcall"]}`, audit},
		},
		{
			"not where libseccomp denies it", `{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86"],"syscalls":[
			{"names":["socket"],"action":"SCMP_ACT_ERRNO","args":[{"index":0,"value":40,"op":"SCMP_CMP_EQ"}]}]}`,
			[]string{`{"action":"SCMP_ACT_ERRNO","args":[{"index":0,"op":"SCMP_CMP_EQ","value":40}],"names":["socket"]}`},
		},
		{
			"not without i386", `{"defaultAction":"SCMP_ACT_ERRNO","architectures":["SCMP_ARCH_AARCH64"],"syscalls":[
			{"names":["sysinfo","socketcall"],"action":"SCMP_ACT_ALLOW"}]}`,
			[]string{`{"action":"SCMP_ACT_ALLOW","names":["socketcall"]}`},
		},
	} {
		t.Run(tt.what, func(t *testing.T) {
			got := rulesOf(t, trapping(t, tt.profile, traps).linux()["seccomp"].(object))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestOpenProfileHidesSockets(t *testing.T) {
	var denials []string
	for _, family := range []string{"40", "38"} {
		for _, either := range []string{even, odd} {
			denials = append(denials, `{"action":"SCMP_ACT_ERRNO","args":[{"index":0,"op":"SCMP_CMP_MASKED_EQ","value":4294967295,"valueTwo":`+family+`},`+
				either+`],"errnoRet":1,"names":["socket"]}`)
		}
	}
	for machine, want := range map[string][]string{
		"amd64": append([]string{notifies}, denials...), "arm64": denials,
	} {
		if diff := cmp.Diff(want, rulesOf(t, openProfile(machine))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", machine, diff)
		}
	}
}
