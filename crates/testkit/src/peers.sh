# Unpacks Debian's Docker Engine and containerd into a folder. Not installed, because their packages start daemons.
#
#   peers.sh FOLDER    kept between runs; one test fetches, the others wait
set -euo pipefail
folder=$1
mkdir -p "$folder"
exec 9>"$folder/lock"
flock 9
[ -e "$folder/ready" ] && exit
rm -rf "$folder/tree"
cd "$folder"
apt-get download -qq docker.io containerd 2>/dev/null
for package in *.deb; do dpkg-deb -x "$package" tree; done
rm -f -- *.deb
touch ready
