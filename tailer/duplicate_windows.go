package tailer

import (
	"errors"
	"fmt"
	"os"
)

// duplicate fails: a file that is open here keeps its name on this system.
func duplicate(f *os.File) (*os.File, error) {
	return nil, fmt.Errorf("duplicate the descriptor of %s: %w", f.Name(), errors.ErrUnsupported)
}
