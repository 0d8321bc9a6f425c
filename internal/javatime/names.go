package javatime

import "time"

func eras() []string { return []string{"BC", "AD"} }

func longEras() []string { return []string{"Before Christ", "Anno Domini"} }

func halves() []string { return []string{"AM", "PM"} }

func quarters() []string { return []string{"Q1", "Q2", "Q3", "Q4"} }

func longQuarters() []string {
	return []string{"1st quarter", "2nd quarter", "3rd quarter", "4th quarter"}
}

func months() []string {
	var all []string
	for m := time.January; m <= time.December; m++ {
		all = append(all, m.String())
	}
	return all
}

// weekdays begin with Monday, as those of ISO do.
func weekdays() []string {
	var all []string
	for d := time.Monday; d <= time.Saturday; d++ {
		all = append(all, d.String())
	}
	return append(all, time.Sunday.String())
}

func shortMonths() []string { return shortened(months()) }

func shortWeekdays() []string { return shortened(weekdays()) }

func shortened(names []string) []string {
	for i, name := range names {
		names[i] = name[:3]
	}
	return names
}
