//! What the machine's own kernel may lack, in a small virtual machine: 802.1q, ipvlan, SCTP.

use wharf_testkit::virtual_machine;

use crate::v2::script;

#[test]
fn r_net_14_vlans_and_ipvlan_in_a_virtual_machine() {
    let out = virtual_machine(&script(
        r#"
ip link add wire type dummy && ip link set wire up
reaches() { wharf exec $1 busybox ping -c1 -W2 $2; }
pair() { for n in aa bb; do wharf run -d --name $n --network $1 busybox sleep 600 >/dev/null || fail "$1: $n"; done; }
gone() { wharf rm -f aa bb >/dev/null && wharf network rm $1 >/dev/null || fail "$1: rm"; }

# a VLAN of the parent is made and removed with its network
wharf network create -d macvlan --subnet 10.50.0.0/24 -o parent=wire.50 tagged || fail vlan
grep 'VID: 50' /proc/net/vlan/wire.50 || fail 'vlan interface'
pair tagged; reaches aa bb || fail 'vlan: by name'
gone tagged; [ ! -e /sys/class/net/wire.50 ] || fail 'vlan interface stays'
# one that was there already is not ours to remove
ip link add link wire name wire.60 type vlan id 60
wharf network create -d ipvlan --subnet 10.60.0.0/24 -o parent=wire.60 tagged || fail vlan-given
wharf network rm tagged; [ -e /sys/class/net/wire.60 ] || fail 'vlan of the user is gone'
ip link del wire.60

for mode in l2 l3 l3s; do
  wharf network create -d ipvlan --subnet 10.51.0.0/24 -o parent=wire -o ipvlan_mode=$mode $mode || fail $mode
  pair $mode; reaches aa bb || fail "$mode: by name"
  [ "$(wharf exec aa cat /sys/class/net/eth0/address)" = "$(cat /sys/class/net/wire/address)" ] || fail "$mode: address of the parent"
  wharf exec aa busybox ip route | tee /tmp/routes
  case $mode in
    l2) grep -q 'default via 10.51.0.1 dev eth0' /tmp/routes || fail 'l2: gateway' ;;
    *) grep -q 'default dev eth0' /tmp/routes || fail "$mode: way out"
       [ -z "$(wharf inspect -f "{{.NetworkSettings.Networks.$mode.Gateway}}" aa)" ] || fail "$mode: gateway" ;;
  esac
  gone $mode
done
wharf network create -d ipvlan --subnet 10.52.0.0/24 -o parent=wire -o ipvlan_flag=private alone || fail private
pair alone; reaches aa 10.52.0.3 && fail 'private: they reach each other'; gone alone
"#,
    ));
    assert!(out.stdout.contains("ALL-WELL") && out.code == 0, "{}\n{}", out.stdout, out.stderr);
}

#[test]
fn r_net_11_sctp_in_a_virtual_machine() {
    let out = virtual_machine(&script(
        r#"
cp /bin/sctp /tmp/root/bin/
tar -C /tmp/root -c . | wharf import -c 'CMD ["sh"]' - talker >/dev/null || fail import
ip link add out type dummy && ip addr add 198.51.100.1/24 dev out && ip link set out up
answer() { n=0; until /bin/sctp ask $1 hello 2>/tmp/why; do n=$((n+1)); [ $n -lt 50 ] || { cat /tmp/why; fail "$1"; }; usleep 100000; done; }
wharf run -d --name server -p 5000:5001/sctp talker sh -c 'while :; do sctp listen 5001; done' || fail run
wharf port server | grep -F '5001/sctp -> 0.0.0.0:5000' || fail port
# by an address of the machine and over loopback, from the machine
answer 198.51.100.1:5000 | grep -x '172.17.0.1 said hello\|198.51.100.1 said hello' || fail 'by the address of the machine'
answer 127.0.0.1:5000 | grep -x '172.17.0.1 said hello' || fail 'over loopback'
# from another container
[ "$(wharf run --rm talker sctp ask 198.51.100.1:5000 hello)" = '172.17.0.1 said hello' ] || fail 'from a neighbour'
wharf run --rm -p 5000:1/sctp talker true 2>/tmp/refused && fail 'taken port'
grep 'port is already allocated' /tmp/refused || fail 'words'
wharf rm -f server
"#,
    ));
    assert!(out.stdout.contains("ALL-WELL") && out.code == 0, "{}\n{}", out.stdout, out.stderr);
}
