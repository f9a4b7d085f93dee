package shipper

// Finding is one thing that was looked at before a run, and how it is.
type Finding struct {
	// Check names what was looked at, from a fixed list: README.md has it.
	Check string `json:"check"`
	// Subject is which of them: an address, a topic, a folder.
	Subject string `json:"subject"`
	Status  Status `json:"status"`
	// Says is what was found, for people. Each Problem, and a Warning of what a run
	// would tell of with a code, ends with that code in brackets, as errors do.
	Says string `json:"says"`
	// Remedy is what to do about it; each Problem and each Warning has one.
	Remedy string `json:"remedy,omitempty"`
}

// Status is how something is that was looked at.
type Status string

// The statuses of a Finding.
const (
	OK      Status = "ok"
	Unknown Status = "unknown" // it cannot be told from here
	Warning Status = "warning" // it works, and may not for long, or not as wanted
	Problem Status = "problem" // lines will not arrive before it is put right
)
