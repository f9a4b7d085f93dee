package checkpoint

// syncDir does nothing: NTFS writes names through its own journal, and a
// directory handle cannot be flushed without administrator's rights.
func syncDir(string) error { return nil }
