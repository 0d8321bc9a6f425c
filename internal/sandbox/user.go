package sandbox

import (
	"os"
	"os/user"
	"strconv"
)

// Unprivileged returns the user nobody when this process is root and so can run
// functions as another user. Otherwise it reports false: functions then run as
// the server does and can read its files, which the caller should say.
func Unprivileged() (*User, bool) {
	if os.Geteuid() != 0 {
		return nil, false
	}
	nobody := &User{UID: 65534, GID: 65534}
	found, err := user.Lookup("nobody")
	if err != nil {
		return nobody, true
	}
	uid, uidErr := strconv.ParseUint(found.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(found.Gid, 10, 32)
	if uidErr != nil || gidErr != nil || uid == 0 || gid == 0 {
		return nobody, true
	}
	return &User{UID: uint32(uid), GID: uint32(gid)}, true
}
