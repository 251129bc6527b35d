"""Two nodes of a Ray cluster, both on this machine, give what local workers give."""

import host_line
import pytest
import test_pool

from structlat_jax.envs.host import on_ray
from structlat_jax.envs.host.pool import Pool
from structlat_jax.envs.host.runner import Runner

ray = pytest.importorskip("ray", reason="Ray is not installed")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def nodes():
    """Two nodes of one core each."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def test_the_same_episodes_as_alone_whatever_dies(nodes, tmp_path):
    alone = Runner(host_line.simulator(), 0).run(
        dict(enumerate(test_pool.POLICIES)), test_pool.JOBS
    )
    crew = on_ray.crew()
    assert crew.count == 2
    many = Pool(host_line.simulator(), 0, crew)
    assert test_pool.same(many.run(test_pool.POLICIES, test_pool.JOBS), alone)
    assert len({one["NodeID"] for one in ray.nodes() if one["Alive"]}) == 2
    many.close()
    file = tmp_path / "dies"
    file.touch()
    many = Pool(host_line.simulator(make=lambda: host_line.Dying(file)), 0, crew)
    assert test_pool.same(many.run(test_pool.POLICIES, test_pool.JOBS), alone)
    assert (many.replaced, file.exists()) == (1, False)
    many.close()
