"""Which NICs are nearest to a GPU, and what an inventory says of it."""

from netprobe.locate.fleet import differences, facts_of
from netprobe.locate.gpu_nics import nearest_nics
from netprobe.model.inventory import HostInventory, PciDevice, RdmaPort

ROOTS = ("0000:16:01.0", "0000:97:01.0")


def pci(address, *path, kind="nic", numa_node=None):
    return PciDevice(
        address=address, kind=kind, vendor=None, device=None, numa_node=numa_node, speed_gtps=None,
        speed_most_gtps=None, width=None, width_most=None, path=path,
    )  # fmt: skip


def port(number, nic):
    return RdmaPort(
        device=f"mlx5_{number}", port=1, link_layer=None, state=None, physical_state=None, rate_gbps=None, driver=None,
        netdev=None, firmware=None, board=None, model=None, node_guid=None, pci=nic.address,
    )  # fmt: skip


def host(*nics, gpu, name="h1"):
    return HostInventory(
        host=name, rdma_ports=tuple(port(number, nic) for number, nic in enumerate(nics)), pci_devices=(*nics, gpu)
    )


NEAR, FAR = pci("0000:1a:00.0", ROOTS[0], numa_node=0), pci("0000:9a:00.0", ROOTS[1], numa_node=1)
GPU = pci("0000:1b:00.0", ROOTS[0], kind="gpu", numa_node=0)


def named(*nics, gpu=GPU):
    inventory = host(*nics, gpu=gpu)
    return str(nearest_nics(inventory.gpus[0], inventory))


def test_the_nic_below_the_same_switch_is_named_with_its_distance():
    assert named(FAR, NEAR) == "mlx5_1 (PIX)"


def test_all_that_are_equally_near_are_named_in_the_hosts_order():
    assert named(NEAR, pci("0000:1c:00.0", ROOTS[0]), FAR) == "mlx5_0, mlx5_1 (PIX)"


def test_a_nic_on_the_other_socket_is_named_as_such_where_no_other_is():
    assert named(FAR) == "mlx5_0 (SYS)"


def test_a_nic_whose_node_is_not_told_may_be_the_nearest_so_none_is_named():
    untold = pci("0000:c1:00.0", "0000:c0:01.0")

    assert named(FAR, untold) == "None"
    assert named(NEAR, untold) == "mlx5_0 (PIX)"


def test_a_host_without_rdma_has_no_nearest_nic():
    assert named() == "None"
    assert not [name for name, _ in facts_of(host(gpu=GPU)) if name.topic == "nearest NIC"]


def test_an_inventory_tells_it_and_the_host_where_it_is_another():
    hosts = [host(*nics, gpu=GPU, name=name) for name, nics in
             {"h1": (NEAR, FAR), "h2": (NEAR, FAR), "h3": (FAR, NEAR)}.items()]  # fmt: skip

    assert {f"{name}: {value}" for name, value in facts_of(hosts[0])} >= {"gpu0 nearest NIC: mlx5_0 (PIX)"}
    (odd,) = [each for each in differences(hosts) if each.name.topic == "nearest NIC"]
    assert (str(odd.name), odd.usual, odd.others) == ("gpu0 nearest NIC", "mlx5_0 (PIX)", (("mlx5_1 (PIX)", ("h3",)),))
