package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"shiplog/agent/config"
	"shiplog/shipper"
	"shiplog/tailer"
)

// filesTold bounds how many files of an input, and folders, are told of one by one.
const filesTold = 20

// unreadable is the code of files and folders that cannot be read.
const unreadable = " [file-unreadable]"

// checkInputs looks for the files of the inputs, whether they may be read, and
// whether the system's limits are enough for them.
func checkInputs(ctx context.Context, c *config.Config) ([]shipper.Finding, error) {
	inputs, err := tailerInputs(c)
	if err != nil {
		return nil, err
	}
	sight, err := tailer.Look(inputs)
	if err != nil {
		return nil, err
	}
	out := checkFolders(sight.Denied)
	for i := range c.Inputs {
		var files []tailer.Sighted
		for _, f := range sight.Files {
			if f.Input == i {
				files = append(files, f)
			}
		}
		out = append(out, checkFiles(ctx, &c.Inputs[i], files)...)
	}
	limit, known := descriptorLimit()
	if !known {
		limit = math.MaxUint64
	}
	return append(out, checkDescriptors(len(sight.Files), c.MaxOpenFiles, limit), checkEvents(&sight)), nil
}

// checkFolders tells of folders that cannot be looked into.
func checkFolders(denied map[string]error) (out []shipper.Finding) {
	for n, dir := range slices.Sorted(maps.Keys(denied)) {
		f := shipper.Finding{Check: "input.folder", Subject: Printable(dir), Status: shipper.Problem}
		if n == filesTold {
			f.Subject = "others"
			f.Says, f.Remedy = fmt.Sprintf("%d more folders cannot be looked into [file-unreadable]", len(denied)-n), "as above"
			return append(out, f)
		}
		f.Says, f.Remedy = whyClosed(dir, denied[dir])
		f.Says += unreadable
		out = append(out, f)
	}
	return out
}

// whyClosed tells why a folder cannot be looked into, and what to do.
func whyClosed(dir string, err error) (says, remedy string) {
	if !errors.Is(err, fs.ErrPermission) {
		return "cannot be looked into: " + withoutPath(err), "look at the disk or the mount"
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrPermission) {
		var d pathInfo
		d.deniedFolder(dir)
		return d.denial, d.mend
	}
	who := thisUser()
	return fmt.Sprintf("user %s may not list it", who), Grant(who, "rx", dir)
}

// checkFiles tells of the files of an input.
func checkFiles(ctx context.Context, in *config.Input, files []tailer.Sighted) (out []shipper.Finding) {
	all := shipper.Finding{Check: "input.files", Subject: Printable(in.Name), Status: shipper.OK}
	if len(files) == 0 {
		all.Status, all.Says = shipper.Warning, "no file is there that its paths match"+missingFolders(in.Paths)
		all.Remedy = "wait for it, if it is yet to come; else correct paths: shiplog why FILE tells what a file lacks"
		return []shipper.Finding{all}
	}
	var bytes int64
	bad := 0
	for _, f := range files {
		bytes += f.Size
		if ctx.Err() != nil {
			all.Status, all.Says = shipper.Unknown, "not looked at in time"
			return append(out, all)
		}
		says, remedy := whyUnreadable(f)
		if says == "" {
			continue
		}
		if bad++; bad <= filesTold {
			out = append(out, shipper.Finding{Check: "input.file", Subject: Printable(f.Name), Status: shipper.Problem, Says: says + unreadable, Remedy: remedy})
		}
	}
	if bad == 0 {
		all.Says = fmt.Sprintf("%s, %s, can be read", counted(len(files), "file"), size(bytes))
		return []shipper.Finding{all}
	}
	all.Status, all.Remedy = shipper.Problem, "see the files below"
	all.Says = fmt.Sprintf("%d of %s cannot be read", bad, counted(len(files), "file"))
	if bad > filesTold {
		all.Says += fmt.Sprintf("; the first %d are told", filesTold)
	}
	all.Says += unreadable
	return append([]shipper.Finding{all}, out...)
}

// missingFolders names the folders of patterns that are not there.
func missingFolders(patterns []string) string {
	var missing []string
	for _, p := range patterns {
		base, _ := doublestar.SplitPattern(filepath.ToSlash(p))
		if first := firstMissing(filepath.FromSlash(base)); !isThere(first) && !slices.Contains(missing, Printable(first)) {
			missing = append(missing, Printable(first))
		}
	}
	if len(missing) == 0 {
		return ""
	}
	return "; " + strings.Join(missing[:min(3, len(missing))], ", ") + " does not exist"
}

// whyUnreadable tells why a file cannot be read and what to do, "" if it can. A pipe
// is not opened: who writes to it would notice.
func whyUnreadable(f tailer.Sighted) (says, remedy string) {
	if f.Err == nil && f.Mode&fs.ModeNamedPipe != 0 {
		return "", ""
	}
	if f.Err == nil && f.Mode.IsRegular() {
		_, err := compressionOf(f.Name)
		switch {
		case err == nil:
			return "", ""
		case errors.Is(err, tailer.ErrCompression):
			return withoutPath(err), "compress it by one of these, or leave it out by exclude"
		}
		f.Err = err
	}
	d := inspectPath(f.Name)
	switch {
	case d.denial != "":
		return d.denial, d.mend
	case d.kind == pathFolder:
		return "it is a folder", "name the files in it, such as by /*.log at its end"
	case d.kind == pathIrregular:
		return fmt.Sprintf("it is a %s, which is never read", nameOf(f.Mode)), "leave it out by exclude"
	case f.Err != nil:
		return "cannot be opened: " + withoutPath(f.Err), "look at the disk or the mount"
	}
	return "", ""
}

// checkDescriptors tells whether there are enough for the files. limit is that of this
// process, the largest number where there is none.
func checkDescriptors(files, maxOpen int, limit uint64) shipper.Finding {
	f := shipper.Finding{Check: "limit.descriptors", Subject: "open files", Status: shipper.OK}
	switch want := min(files, maxOpen); {
	case uint64(want)+reservedDescriptors > limit:
		f.Status = shipper.Warning
		f.Says = fmt.Sprintf("this process may have %d descriptors: not enough for %s and the rest, so that they are read in turns [descriptors-few]", limit, counted(want, "file"))
		f.Remedy = fmt.Sprintf("raise the limit to %d or more: LimitNOFILE= in the unit, ulimit -n", maxOpen+reservedDescriptors)
	case files > maxOpen:
		f.Says = fmt.Sprintf("%s for max_open_files %d: they are read in turns", counted(files, "file"), maxOpen)
	case limit < math.MaxUint64:
		f.Says = fmt.Sprintf("%s; this process may have %d descriptors, the service's limit may be another", counted(files, "file"), limit)
	default:
		f.Says = counted(files, "file")
	}
	return f
}

// checkEvents tells whether the system will tell when files change.
func checkEvents(s *tailer.Sight) shipper.Finding {
	f := shipper.Finding{Check: "limit.watches", Subject: "file system events", Status: shipper.OK}
	switch blind := slices.Sorted(maps.Keys(s.Blind)); {
	case s.NoEvent != nil:
		f.Status, f.Says = shipper.Warning, fmt.Sprintf("do not come, files are looked at by polling only: %v [watch-none]", s.NoEvent)
		f.Remedy = moreEvents(runtime.GOOS, "max_user_instances", 1024)
	case len(blind) > 0:
		f.Status = shipper.Warning
		f.Says = fmt.Sprintf("do not come of %d of %s, which are polled: %s: %v [watch-none]", len(blind), counted(len(s.Folders), "folder"), Printable(blind[0]), s.Blind[blind[0]])
		f.Remedy = moreEvents(runtime.GOOS, "max_user_watches", 524288)
	default:
		f.Says = "come of " + counted(len(s.Folders), "folder") + watchLimit()
	}
	return f
}
