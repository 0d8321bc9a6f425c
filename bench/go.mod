module github.com/fieldline-iot/fieldline/bench

go 1.26
