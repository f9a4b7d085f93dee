package main

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"syscall"

	"shiplog/agent"
	"shiplog/agent/config"
)

// withCode is the text of an error with which shiplog ends, and its code: its own,
// else one for its kind.
func withCode(err error) string {
	text := err.Error()
	if agent.CodeOf(text) != "" {
		return text
	}
	if last := text[strings.LastIndexByte(text, '\n')+1:]; strings.HasPrefix(last, " ") {
		text += "\n" // an example, of which the code must not become a part
	}
	return text + kindOf(err)
}

// kindOf returns the code of an error that has none of its own.
func kindOf(err error) string {
	_, invalid := errors.AsType[config.Errors](err)
	_, usage := errors.AsType[usageError](err)
	switch {
	case invalid:
		return " [config-invalid]"
	case usage:
		return " [wrong-usage]"
	case errors.Is(err, fs.ErrPermission):
		return " [access-denied]"
	case errors.Is(err, fs.ErrNotExist):
		return " [not-found]"
	case errors.Is(err, syscall.ENOSPC):
		return " [disk-full]"
	case errors.Is(err, context.Canceled):
		return " [stopped-early]"
	}
	return " [run-failed]"
}
