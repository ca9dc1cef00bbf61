//go:build root && !amd64

package mounter_test

import "errors"

func socketcall([]string) error { return errors.New("the machine has no i386") }
