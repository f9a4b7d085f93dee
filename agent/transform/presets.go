package transform

import (
	"bytes"
	"regexp"
)

// Presets returns the names that Redact.Presets may hold:
//
//   - card: payment card numbers of 13 to 19 digits, also in groups, of which the
//     check digit is right (Luhn, ISO/IEC 7812-1)
//   - iban: account numbers of which the check digits are right (ISO 13616,
//     MOD 97-10 of ISO 7064)
//   - email: addresses
//   - jwt: JSON Web Tokens (RFC 7519, compact form)
//   - bearer: what follows "Bearer " (RFC 6750) or "Basic " (RFC 7617)
//   - aws_key: access key ids, and secret keys that are named as such
//   - password: the values of password=, pwd:, secret=, token=, api_key= and
//     such, also in JSON, and the password in a URL
func Presets() []string {
	return []string{"card", "iban", "email", "jwt", "bearer", "aws_key", "password"}
}

func preset(name string) (finder, bool) {
	switch name {
	case "card":
		return findCard, true
	case "iban":
		return findIBAN, true
	case "email":
		return guarded(`[A-Za-z0-9.!#$%&'*+/=?^_{|}~-]+@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)+`,
			func(b []byte) bool { return bytes.IndexByte(b, '@') >= 0 }), true
	case "jwt":
		return guarded(`eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*`,
			func(b []byte) bool { return bytes.Contains(b, []byte("eyJ")) }), true
	case "bearer":
		return guarded(`(?i)\b(?:bearer|basic)[ :=]+"?([A-Za-z0-9._~+/-]{8,}=*)`,
			func(b []byte) bool { return within(b, "bearer", "basic") }), true
	case "aws_key":
		return guarded(`\b(?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA)[A-Z0-9]{16}\b|(?i:aws[a-z_ -]{0,20}(?:secret|key)[a-z_ -]{0,20}["']?\s*[:=]\s*["']?)([A-Za-z0-9/+]{40})`,
			func(b []byte) bool { return within(b, "akia", "asia", "agpa", "aida", "aroa", "anpa", "aws") }), true
	case "password":
		return guarded(`(?i)(?:pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|access[_-]?key|client[_-]?secret)["']?\s*[:=]\s*(?:"((?:[^"\\]|\\.)+)"|'([^']+)'|([^\s"'&;,)\]}]+))|[a-z][a-z0-9+.-]*://[^\s/:@]+:([^\s/@]+)@`,
			func(b []byte) bool {
				return within(b, "pass", "pwd", "secret", "token", "api", "access") || bytes.Contains(b, []byte("://"))
			}), true
	}
	return nil, false
}

// guarded is a pattern that is tried only where possible says that it could
// match: that is much cheaper.
func guarded(pattern string, possible func([]byte) bool) finder {
	find := patternFinder(regexp.MustCompile(pattern))
	return func(text []byte, from int) (int, int, bool) {
		if from > len(text) || !possible(text[from:]) {
			return 0, 0, false
		}
		return find(text, from)
	}
}

func isDigit(c byte) bool { return c-'0' <= 9 }
func isWord(c byte) bool {
	return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_'
}

// The digits of a payment card number, ISO/IEC 7812-1.
const minCard, maxCard = 13, 19

// findCard finds card numbers: digits in a row, or in groups with single blanks
// or hyphens between them.
func findCard(text []byte, from int) (int, int, bool) {
	for i := from; i < len(text); i++ {
		if !isDigit(text[i]) || i > 0 && isDigit(text[i-1]) {
			continue
		}
		var digits [maxCard + 1]byte
		n, j := 0, i
		var ends [maxCard + 1]int // behind the n-th digit
		for j < len(text) && n <= maxCard {
			switch c := text[j]; {
			case isDigit(c):
				digits[n] = c - '0'
				j++
				ends[n] = j
				n++
				continue
			case (c == ' ' || c == '-') && j+1 < len(text) && isDigit(text[j+1]):
				j++
				continue
			}
			break
		}
		// A number must not go on behind what is taken for the card's, unless
		// there is a gap: "4111 1111 1111 1111 25" is a card and something else.
		for k := min(n, maxCard); k >= minCard; k-- {
			if end := ends[k-1]; (end == len(text) || !isDigit(text[end])) && issued(digits[:k]) && luhn(digits[:k]) {
				return i, end, true
			}
		}
	}
	return 0, 0, false
}

// issued reports whether a card number can begin and be as long as that: times
// in milliseconds, and dates, have as many digits.
func issued(d []byte) bool {
	switch d[0] {
	case 2: // 2221 to 2720
		n := int(d[0])*1000 + int(d[1])*100 + int(d[2])*10 + int(d[3])
		return len(d) == 16 && n >= 2221 && n <= 2720
	case 3, 4, 5, 6:
		return true
	}
	return false
}

// luhn checks the check digit of ISO/IEC 7812-1 annex B. All zeros is no number.
func luhn(digits []byte) bool {
	sum, any := 0, byte(0)
	for i := range digits {
		d := int(digits[len(digits)-1-i])
		any |= digits[len(digits)-1-i]
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0 && any != 0
}

// The characters of an account number, ISO 13616: the shortest is Norway's.
const minIBAN, maxIBAN = 15, 34

// findIBAN finds account numbers, also in groups with single blanks between.
func findIBAN(text []byte, from int) (int, int, bool) {
	for i := from; i+minIBAN <= len(text); i++ {
		if !isUpper(text[i]) || !isUpper(text[i+1]) || !isDigit(text[i+2]) || !isDigit(text[i+3]) || i > 0 && isWord(text[i-1]) {
			continue
		}
		var b [maxIBAN]byte
		n, best := 0, 0
		for j := i; j < len(text) && n < maxIBAN; j++ {
			c := text[j]
			if c == ' ' && n >= 4 && j+1 < len(text) && (isUpper(text[j+1]) || isDigit(text[j+1])) {
				continue
			}
			if !isUpper(c) && !isDigit(c) {
				break
			}
			b[n] = c
			n++
			if n >= minIBAN && (j+1 == len(text) || !isWord(text[j+1])) && mod97(b[:n]) {
				best = j + 1
			}
		}
		if best > 0 {
			return i, best, true
		}
	}
	return 0, 0, false
}

func isUpper(c byte) bool { return c-'A' < 26 }

// mod97 checks the check digits: the first four characters go to the end,
// letters count from 10, and the remainder has to be 1.
func mod97(iban []byte) bool {
	rest := 0
	for i := range iban {
		c := iban[(i+4)%len(iban)]
		if isDigit(c) {
			rest = (rest*10 + int(c-'0')) % 97
		} else {
			rest = (rest*100 + int(c-'A') + 10) % 97
		}
	}
	return rest == 1
}
