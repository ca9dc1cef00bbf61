package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"cloister/internal/settings"
	"cloister/internal/sys"
)

// settingsName is in the legacy: the text of the settings that this daemon goes by.
const settingsName = "settings"

// loadSettings reads the administrator's file. A broken one keeps a daemon from starting,
// but not from going on for a predecessor, since the readers of all containers wait: that
// one's settings stay in force, which are not laxer than those that were last accepted.
func (d *Daemon) loadSettings() error {
	text, err := settings.Read(d.SettingsPath)
	if err == nil {
		d.settings, err = settings.Parse(d.SettingsPath, text)
	}
	before, lost := d.settingsBefore()
	switch {
	case err == nil:
		if before == nil || !bytes.Equal(before, text) {
			return d.leaveSettings(text)
		}
		return nil
	case before == nil:
		return errors.Join(err, lost)
	}
	old, unusable := settings.Parse("of before", before)
	if unusable != nil { // of another version
		return errors.Join(err, unusable)
	}
	d.settings, d.settingsError = old, err
	d.log.Error().Err(err).Msg("the settings of before stay in force until the file is mended and the daemon reloaded")
	return nil
}

// settingsBefore returns what a predecessor has left, nil if it has left nothing.
func (d *Daemon) settingsBefore() ([]byte, error) {
	f, err := d.legacy.take(settingsName)
	if f == nil || err != nil {
		return nil, err
	}
	defer f.Close()
	// The offset is shared by all who have the file open.
	return io.ReadAll(io.NewSectionReader(f, 0, math.MaxInt64))
}

// leaveSettings gives the text to a successor.
func (d *Daemon) leaveSettings(text []byte) error {
	if err := d.legacy.forget(settingsName); err != nil {
		return err
	}
	fd, err := sys.NewMemfd(settingsName)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd.Int()), settingsName)
	defer f.Close()
	if _, err := f.Write(text); err != nil {
		return fmt.Errorf("keep the settings: %w", err)
	}
	return d.legacy.leave(settingsName, f)
}
