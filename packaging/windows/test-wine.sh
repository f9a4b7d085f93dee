#!/usr/bin/env bash
# Runs tests as programs of Windows, under wine, in a prefix of its own, and the
# built shiplog.exe from end to end. Wants wine64 and x86_64-w64-mingw32-gcc
# (Debian: wine64, gcc-mingw-w64-x86-64). Takes some minutes.
#
# What wine 8 lacks, and Windows has:
#  - bcryptprimitives.dll, which Go's runtime asks for random numbers: made here.
#  - FileDispositionInformationEx, by which Go's os.RemoveAll removes files: each
#    test that leaves files in its folder is told "TempDir RemoveAll cleanup …
#    Invalid function". A test whose only fault that is has passed.
#  - pipes in folders, events that can be told apart, and services.
# Tests that rename or remove a file which they themselves hold open, as only
# applications of Unix can, are left out: they are in skip below.
set -euo pipefail
cd "$(dirname "$0")/../.."
wine=$(command -v wine64 || command -v /usr/lib/wine/wine64 || true)
if [ -z "$wine" ] || ! command -v x86_64-w64-mingw32-gcc >/dev/null; then
	echo "NOT TESTED under wine: install wine64 and gcc-mingw-w64-x86-64" >&2
	[ "${CI:-}" = true ] && exit 1
	exit 0
fi
work=$(mktemp -d)
export WINEPREFIX=$work/prefix WINEDEBUG=-all
server=$(command -v wineserver || command -v /usr/lib/wine/wineserver)
trap '"$server" -k 2>/dev/null || true; rm -rf "$work"' EXIT

echo '#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID, ULONG);
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T n) { return SystemFunction036(data, (ULONG)n); }' >"$work/prng.c"
x86_64-w64-mingw32-gcc -shared -o "$work/bcryptprimitives.dll" "$work/prng.c" -ladvapi32
timeout 300 "$wine" wineboot -i >/dev/null 2>&1
cp "$work/bcryptprimitives.dll" "$WINEPREFIX/drive_c/windows/system32/"

status=0
# tests PACKAGE SKIP: SKIP are tests that wine, or Windows, cannot carry.
tests() {
	local exe=$work/${1//\//-}.test.exe out=$work/out.txt
	GOOS=windows CGO_ENABLED=0 go test -c -o "$exe" "./$1"
	(cd "$1" && timeout 900 "$wine" "$exe" -test.short -test.v -test.skip "$2" >"$out" 2>&1) || true
	go tool test2json <"$out" | python3 -c '
import json, sys
faults, ended, name = {}, {}, ""
for line in sys.stdin:
    e = json.loads(line)
    t = e.get("Test", "")
    if e["Action"] in ("pass", "fail", "skip") and t:
        ended[t] = e["Action"]
    elif e["Action"] == "output" and t and ".go:" in e["Output"] and "TempDir RemoveAll cleanup" not in e["Output"] and "[rapid] OK" not in e["Output"]:
        faults.setdefault(t, []).append(e["Output"].rstrip())
bad = [t for t, how in ended.items() if how == "fail" and any(f == t or f.startswith(t + "/") for f in faults)]
for t in bad:
    print("FAIL", t, *faults.get(t, []), sep="\n    ")
tops = [t for t in ended if "/" not in t]
print(sys.argv[1] + ":", len(tops), "tests,", sum(ended[t] == "skip" for t in tops), "skipped,", len([t for t in bad if "/" not in t]), "failed")
sys.exit(bool(bad) or not tops)' "$1" || status=1
}

tests agent/checkpoint 'TestCrashAnywhere|TestSkipsFaults|TestFlippedBits' # minutes each here; they know nothing of Windows
# Files that the test itself holds open; what wine leaves of a file that was
# deleted while it was open; pipes; which events come; paths of Unix. And one that
# asks for an order which takes the time at which a file was made: that is not
# asked for on Windows, and of two generations that were made while the agent was
# down, one of them compressed, the later can come first; nothing is lost. One more
# skips itself for want of that time.
tests tailer 'TestDescriptorOfADeletedFile|TestLateLineOfTheRotatedFile|TestRenameRotationWithHeldDescriptor|TestDeletedWhileOpenIsReadToItsEnd|TestNamePassedOn|TestHalfCompressedAndOriginalGone|TestADeletedFileGivesItsNameFree|TestFinishedCompressedFilesRest|TestOnceCarries|TestUnreadableFilesHoldUpNoOther|TestScripts/(atomic-replace|otel-40523|delete-and-recreate|gzip-while-down|compressed-before-its-turn)|TestSiblingsWhileRenamed|TestSweep|TestGrowthWithoutAnEvent|TestFolderWithoutEvents|TestFoldersThatNobodyAsksFor|TestExplain|TestMissingInodeIsDatedFirst|TestAPipe|TestJudgeWhileCompressed|^Fuzz'
tests cmd/shiplog '^(TestMain|Test[^E].*|TestE[^v].*)$' # leaves TestEventLog

GOOS=windows CGO_ENABLED=0 go build -o "$work/shiplog.exe" ./cmd/shiplog
SHIPLOG_WINE=$wine SHIPLOG_EXE=$work/shiplog.exe go test -count 1 -v -run '^TestUnderWine$' ./cmd/shiplog || status=1
exit $status
