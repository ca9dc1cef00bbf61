// Package bench measures what cloister costs, as ratios to the same thing without
// it in the same run: absolute times say little on a machine that does other work.
//
//   - read: reading the files of a container (`make bench`); run starts what it needs, and
//     chart draws the figures.
//   - scale: many containers, and what they leave behind (`make bench-scale`).
//   - start: creating, starting and deleting a container (`make bench-start`).
//   - syscalls: system calls that cloister answers, mounts, and those it leaves alone
//     (`make bench-syscalls`).
//   - views: rendering the files of a container (`make bench-views`).
package bench
