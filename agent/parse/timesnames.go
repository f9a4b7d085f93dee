package parse

// name3 packs three letters, in lower case.
func name3(b []byte, i int) uint32 {
	return uint32(b[i]|0x20)<<16 | uint32(b[i+1]|0x20)<<8 | uint32(b[i+2]|0x20)
}

// monthName returns the month whose English name, whole or its first three
// letters, is at i, and the name's length; 0 if none is.
func monthName(b []byte, i int) (month, n int) {
	if i+3 > len(b) || b[i]|0x20 < 'a' || b[i]|0x20 > 's' {
		return 0, 0
	}
	whole := ""
	switch name3(b, i) {
	case 'j'<<16 | 'a'<<8 | 'n':
		month, whole = 1, "uary"
	case 'f'<<16 | 'e'<<8 | 'b':
		month, whole = 2, "ruary"
	case 'm'<<16 | 'a'<<8 | 'r':
		month, whole = 3, "ch"
	case 'a'<<16 | 'p'<<8 | 'r':
		month, whole = 4, "il"
	case 'm'<<16 | 'a'<<8 | 'y':
		month = 5
	case 'j'<<16 | 'u'<<8 | 'n':
		month, whole = 6, "e"
	case 'j'<<16 | 'u'<<8 | 'l':
		month, whole = 7, "y"
	case 'a'<<16 | 'u'<<8 | 'g':
		month, whole = 8, "ust"
	case 's'<<16 | 'e'<<8 | 'p':
		month, whole = 9, "tember"
		if i+3 < len(b) && b[i+3] == 't' && (i+4 == len(b) || !isWord(b[i+4])) {
			whole = "t"
		}
	case 'o'<<16 | 'c'<<8 | 't':
		month, whole = 10, "ober"
	case 'n'<<16 | 'o'<<8 | 'v':
		month, whole = 11, "ember"
	case 'd'<<16 | 'e'<<8 | 'c':
		month, whole = 12, "ember"
	default:
		return 0, 0
	}
	return month, nameEnd(b, i+3, whole, 3)
}

// weekdayName returns the length of the English name of a weekday at the
// beginning of b, whole or its first three letters; 0 if there is none.
func weekdayName(b []byte) int {
	whole := ""
	switch name3(b, 0) {
	case 'm'<<16 | 'o'<<8 | 'n', 's'<<16 | 'u'<<8 | 'n', 'f'<<16 | 'r'<<8 | 'i':
		whole = "day"
	case 't'<<16 | 'u'<<8 | 'e':
		whole = "sday"
	case 'w'<<16 | 'e'<<8 | 'd':
		whole = "nesday"
	case 't'<<16 | 'h'<<8 | 'u':
		whole = "rsday"
	case 's'<<16 | 'a'<<8 | 't':
		whole = "urday"
	default:
		return 0
	}
	return nameEnd(b, 3, whole, 3)
}

// nameEnd returns the length of a name of which n letters before i are there: it
// ends at i, or after the rest of it.
func nameEnd(b []byte, i int, rest string, n int) int {
	if i == len(b) || !isWord(b[i]) {
		return n
	}
	if end := i + len(rest); rest != "" && end <= len(b) && string(b[i:end]) == rest && (end == len(b) || !isWord(b[end])) {
		return n + len(rest)
	}
	return 0
}

// zoneNamed returns the offset, in minutes east of UTC, that an abbreviation of
// a zone usually stands for.
func zoneNamed(name []byte) (minutes int, ok bool) {
	switch string(name) {
	case "UTC", "GMT", "WET", "UCT":
		return 0, true
	case "CET", "MEZ", "BST", "WEST", "WAT":
		return 60, true
	case "CEST", "MESZ", "EET", "SAST", "CAT":
		return 120, true
	case "EEST", "MSK", "EAT":
		return 180, true
	case "IST":
		return 330, true
	case "ICT", "WIB":
		return 420, true
	case "SGT", "HKT", "PHT", "AWST":
		return 480, true
	case "JST", "KST":
		return 540, true
	case "ACST":
		return 570, true
	case "AEST":
		return 600, true
	case "ACDT":
		return 630, true
	case "AEDT":
		return 660, true
	case "NZST":
		return 720, true
	case "NZDT":
		return 780, true
	case "NST":
		return -210, true
	case "NDT":
		return -150, true
	case "ADT", "BRT", "ART":
		return -180, true
	case "AST", "EDT":
		return -240, true
	case "EST", "CDT":
		return -300, true
	case "CST", "MDT":
		return -360, true
	case "MST", "PDT":
		return -420, true
	case "PST", "AKDT":
		return -480, true
	case "AKST":
		return -540, true
	case "HST":
		return -600, true
	}
	return 0, false
}
