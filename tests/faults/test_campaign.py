"""Workers are killed one after the other while sixty messages arrive in bursts."""

import asyncio
import random

from tests.faults.scene import BOTH_WAYS, Scene, script

pytestmark = BOTH_WAYS


async def test_sixty_messages_under_fire_are_answered_once_and_in_order(scene: Scene) -> None:
    await scene.chat.configure(max_failures=100)
    chance = random.Random(20261121)
    sessions = [await scene.chat.ada.start_session() for _ in range(12)]

    async def talk() -> None:
        for _ in range(12):
            for session in chance.sample(sessions, 5):
                text = script(deltas=chance.randint(1, 30), delay_ms=chance.choice([0, 5, 20]))
                await scene.chat.ada.say(session, text)
            await asyncio.sleep(chance.random() / 2)

    talking = asyncio.create_task(talk())
    workers = [scene.workshop.start() for _ in range(2)]
    for _ in range(6):
        await workers[0].ready()
        # The moment of the kill is the one thing that shall not be synchronised.
        await asyncio.sleep(chance.random() / 2)
        workers.pop(0).kill()
        workers.append(scene.workshop.start())
    await talking
    await scene.until_idle()
    assert await scene.count("status = 'completed'") == 60
    await scene.assert_sound()
