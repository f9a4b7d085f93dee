package checkpoint

import (
	"fmt"

	"golang.org/x/sys/windows"
)

// makePrivate keeps a new directory, and all that will be in it, to the system,
// the administrators and the account of this process: the mode that it was made
// with says nothing here, and what it would inherit lets all users read.
func makePrivate(dir string) error {
	me, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return fmt.Errorf("account of this process: %w", err)
	}
	sd, err := windows.SecurityDescriptorFromString("D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;" + me.User.Sid.String() + ")")
	if err != nil {
		return fmt.Errorf("access list of %s: %w", dir, err)
	}
	acl, _, err := sd.DACL()
	if err != nil {
		return fmt.Errorf("access list of %s: %w", dir, err)
	}
	if err := windows.SetNamedSecurityInfo(dir, windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, nil, nil, acl, nil); err != nil {
		return fmt.Errorf("access list of %s: %w", dir, err)
	}
	return nil
}
