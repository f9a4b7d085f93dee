//go:build !linux

package main_test

import (
	"errors"
	"time"
)

// What a running process has used is asked of Linux only.

func cpuOf(int) (time.Duration, error) { return 0, errors.ErrUnsupported }

func peakOf(int) (float64, error) { return 0, errors.ErrUnsupported }

func writtenBy(int) (float64, error) { return 0, errors.ErrUnsupported }
